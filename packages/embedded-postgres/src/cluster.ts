import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chown,
  link,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { hasCode } from './errors.js'
import { flushToDisk, unlessMissing } from './files.js'
import { commandOf, type ExistingCluster, type Runner } from './strategies.js'

const passwordFile = z.object({ postgres: z.string().min(1), gateway: z.string().min(1) })
export type Passwords = z.infer<typeof passwordFile>

const maxInitMs = 10 * 60_000
const unfinished = new Set<string>()

/**
 * Returns the cluster of a data directory, if there is one: `postgres/`, or the target of that link, where
 * root had to put it elsewhere.
 */
export async function findCluster(dataDir: string): Promise<ExistingCluster | undefined> {
  const directory = await unlessMissing(realpath(path.join(dataDir, 'postgres')))
  if (directory === undefined || !(await unlessMissing(stat(path.join(directory, 'PG_VERSION')))))
    return undefined
  return { directory, owner: (await stat(directory)).uid }
}

/**
 * Reads the data directory's passwords, which are made once. They are on disk before any cluster that needs
 * them.
 */
export async function readPasswords(
  dataDir: string,
  existing: ExistingCluster | undefined,
): Promise<Passwords> {
  const file = path.join(dataDir, 'postgres-passwords.json')
  let text = await unlessMissing(readFile(file, 'utf8'))
  if (text === undefined) {
    if (existing !== undefined) {
      throw new Error(
        `${file} is missing, and without it nobody can log in to ${existing.directory}: ` +
          'restore it, or move the data directory away to start with an empty one',
      )
    }
    await writePasswords(file)
    text = await readFile(file, 'utf8')
  }
  return passwordFile.parse(JSON.parse(text))
}

async function writePasswords(file: string): Promise<void> {
  const password = () => randomBytes(24).toString('base64url')
  const half = `${file}.${randomBytes(4).toString('hex')}`
  await writeFile(half, JSON.stringify({ postgres: password(), gateway: password() }), {
    mode: 0o600,
    flag: 'wx',
    flush: true,
  })
  try {
    // Unlike rename, link never replaces: of two gateways that start together, both use the first one's
    // passwords.
    await link(half, file)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  } finally {
    await rm(half)
  }
  await flushToDisk(path.dirname(file))
}

/**
 * Creates the cluster in a temporary directory and puts it in place in one step. A killed start leaves
 * nothing half made.
 */
export async function createCluster(
  runner: Runner,
  dataDir: string,
  password: string,
  durable: boolean,
): Promise<void> {
  const { home } = runner
  const work = path.join(home, `.initdb-${process.pid}-${randomBytes(4).toString('hex')}`)
  unfinished.add(work)
  try {
    await runInitdb(runner, work, password, durable)
    const target = path.join(dataDir, 'postgres')
    if (home === dataDir) await rename(path.join(work, 'postgres'), target)
    else await symlink(path.join(work, 'postgres'), target)
    await flushToDisk(dataDir)
  } catch (error) {
    // Another gateway was faster. Its cluster is used.
    if (!hasCode(error, 'EEXIST', 'ENOTEMPTY', 'ENOTDIR') || !(await findCluster(dataDir))) throw error
  } finally {
    unfinished.delete(work)
    await removeIfUnused(work, dataDir)
  }
}

async function runInitdb(runner: Runner, work: string, password: string, durable: boolean): Promise<void> {
  const { strategy, binaries } = runner
  const passwordFile = path.join(work, 'password')
  await mkdir(work, { mode: 0o700 })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (strategy.owner !== process.getuid?.()) {
    await chown(passwordFile, strategy.owner, strategy.owner)
    await chown(work, strategy.owner, strategy.owner)
  }
  const { file, args, options } = commandOf(strategy, path.join(binaries.native, 'bin', 'initdb'), [
    '-D',
    path.join(work, 'postgres'),
    '-U',
    'postgres',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
    '--data-checksums',
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ])
  await promisify(execFile)(file, args, options)
  await rm(passwordFile)
}

/** Removes what killed starts left behind, and nothing that a running one still uses. */
export async function removeLeftovers(dataDir: string, home: string): Promise<void> {
  for (const directory of new Set([dataDir, home])) {
    for (const name of await readdir(directory)) {
      const pid = /^\.initdb-(\d+)-/.exec(name)?.[1]
      if (pid === undefined) continue
      const work = path.join(directory, name)
      if (!(await isInProgress(work, Number(pid)))) await removeIfUnused(work, dataDir)
    }
  }
}

async function isInProgress(work: string, pid: number): Promise<boolean> {
  if (pid === process.pid) return unfinished.has(work)
  const made = await unlessMissing(stat(work))
  if (made === undefined || Date.now() - made.mtimeMs > maxInitMs) return false
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return hasCode(error, 'EPERM')
  }
}

async function removeIfUnused(work: string, dataDir: string): Promise<void> {
  // A cluster outside the data directory stays where initdb made it.
  const cluster = await findCluster(dataDir)
  if (cluster?.directory === path.join(work, 'postgres')) return
  try {
    await rm(work, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
  } catch (error) {
    // An initdb that outlived its gateway still writes there, but not for long: the next start removes it.
    if (!hasCode(error, 'ENOTEMPTY', 'EBUSY')) throw error
  }
}
