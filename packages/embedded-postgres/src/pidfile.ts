import { randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { chown, link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { hasCode } from './errors.js'
import { unlessMissing } from './files.js'

/** The contents of `postmaster.pid`, checked against the process that it names. */
export type Sighting =
  | { state: 'running'; pid: number; port: number; ready: boolean }
  | { state: 'unfinished' } // being written, or a maintenance session (`postgres --single`)
  | { state: 'absent' } // no file, or one that Postgres itself will see is stale
  | { state: 'impostor'; text: string } // a stale file whose pid another program got since

const maxEmptyMs = 5000
const nobodysPid = 2 ** 31 - 1 // no system counts so far

/** Looks for the living postmaster of a cluster. */
export async function sightPostmaster(cluster: string): Promise<Sighting> {
  const file = path.join(cluster, 'postmaster.pid')
  const text = await unlessMissing(readFile(file, 'utf8'))
  if (text === undefined) return { state: 'absent' }

  // pid, directory, start time, port, socket directory, address, shared memory, status
  const lines = text.split('\n')
  const [pid, port] = [Number(lines[0]), Number(lines[3])]
  if (text === '') return sightEmpty(file)
  if (!(pid > 0 && port > 0)) return { state: 'unfinished' }
  if (await isPostmaster(pid, cluster))
    return { state: 'running', pid, port, ready: lines[7]?.trim() === 'ready' }
  return isAlive(pid) ? { state: 'impostor', text } : { state: 'absent' }
}

/** A power cut can leave the file empty, which Postgres refuses to judge. */
async function sightEmpty(file: string): Promise<Sighting> {
  const written = await unlessMissing(stat(file))
  if (written === undefined || Date.now() - written.mtimeMs < maxEmptyMs) return { state: 'unfinished' }
  await rm(file, { force: true })
  return { state: 'absent' }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return hasCode(error, 'EPERM')
  }
}

/**
 * Returns whether this process is the cluster's server. The pid alone may belong to another program by now.
 */
export async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  if (process.platform !== 'linux') {
    const listed = await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(
      () => ({ stdout: '' }),
    )
    return listed.stdout.includes('postgres') && listed.stdout.includes(cluster)
  }
  // Empty for a zombie, too.
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const [program = '', ...args] = command.split('\0')
  if (path.basename(program) !== 'postgres') return false
  // A server works inside its cluster, under whatever name. Not every container lets root see another user's
  // process.
  const [ours, theirs] = await Promise.all([stat(cluster), stat(`/proc/${pid}/cwd`).catch(() => undefined)])
  return theirs === undefined ? args.includes(cluster) : ours.dev === theirs.dev && ours.ino === theirs.ino
}

/**
 * Makes a stale file name no process, so that Postgres does not take another program for a server. The rest
 * of the file stays: Postgres reads in it which shared memory must be unused before it may start.
 */
export async function disarmPidFile(cluster: string, stale: string): Promise<void> {
  const file = path.join(cluster, 'postmaster.pid')
  const aside = `${file}.${randomBytes(4).toString('hex')}`
  try {
    await rename(file, aside)
    // Another gateway may have started the server since the file was read. Then the file is put back.
    if ((await readFile(aside, 'utf8')) === stale) {
      const { uid, gid } = await stat(aside)
      await writeFile(aside, stale.replace(/^\d+/, String(nobodysPid)))
      await chown(aside, uid, gid)
    }
    await link(aside, file)
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EEXIST')) throw error
  } finally {
    await rm(aside, { force: true })
  }
}
