import { execFile, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { z } from 'zod'
import { findBinaries } from '../../../packages/embedded-postgres/src/binaries.js'
import {
  startEmbeddedPostgres,
  type EmbeddedOptions,
  type EmbeddedPostgres,
} from '../../../packages/embedded-postgres/src/postgres.js'

const root = path.resolve(import.meta.dirname, '../../..')
const cleanups: (() => Promise<unknown>)[] = []

/** Undoes everything a test began, latest first, whether it passed or not. */
export function cleanUp(): Promise<void> {
  return keepForLater()()
}

/** Spares everything begun so far from `cleanUp`; returns the way to undo it in the end. */
export function keepForLater(): () => Promise<void> {
  const kept = cleanups.splice(0).reverse()
  return () => undo(kept)
}

async function undo(steps: (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const cleanup of steps) await cleanup().catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw new AggregateError(failures, 'cleaning up failed')
}

/**
 * A temporary directory. A server that still runs on a cluster below it is stopped before the directory goes.
 */
export async function makeDirectory(mode = 0o755): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'embedded-'))
  await chmod(directory, mode)
  cleanups.push(async () => {
    await killServer(path.join(directory, 'data'), 'SIGQUIT').catch(() => undefined)
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  })
  return directory
}

export async function start(
  dataDir: string,
  options: Partial<EmbeddedOptions> = {},
): Promise<EmbeddedPostgres & { logged: string[] }> {
  const logged: string[] = []
  const postgres = await startEmbeddedPostgres({
    dataDir,
    durable: false,
    log: (line) => logged.push(line),
    ...options,
  })
  cleanups.push(() => postgres.stop())
  return { ...postgres, logged }
}

/** Runs one statement on a connection of its own. */
export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url)
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

export async function postmasterPid(dataDir: string): Promise<number> {
  return Number.parseInt(await readFile(path.join(dataDir, 'postgres/postmaster.pid'), 'utf8'), 10)
}

/** SIGKILL, which leaves the pid file; resolves when the process has gone. */
export async function killServer(dataDir: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const pid = await postmasterPid(dataDir)
  if (!(await isPostgres(pid))) return
  process.kill(pid, signal)
  while (await isPostgres(pid)) await sleep(10)
}

async function isPostgres(pid: number): Promise<boolean> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,args=', '-p', String(pid)]).catch(() => ({
    stdout: '',
  }))
  return stdout.includes('postgres') && !stdout.startsWith('Z')
}

/** A program of its own that is stopped at the end of the test. */
export function spawnProgram(
  file: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options })
  cleanups.push(() => endOf(child, 'SIGKILL'))
  return child
}

/** Ends a child process; resolves when it has. */
export async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await ended
}

const outcomeLine = z.object({
  url: z.string().optional(),
  ownerUrl: z.string().optional(),
  user: z.string().optional(),
  refused: z.string().optional(),
})
type Outcome = z.infer<typeof outcomeLine>
const manifest = z.object({ dependencies: z.record(z.string(), z.string()).default({}) })

/**
 * A gateway process: starts the compiled module on the directory, tells how that went, stops it on SIGTERM.
 */
export async function spawnGateway(
  dataDir: string,
  { from = root, node = process.execPath, ...options }: SpawnOptions & { from?: string; node?: string } = {},
): Promise<{ child: ChildProcess; outcome: Outcome }> {
  const module = path.join(from, 'dist/packages/embedded-postgres/postgres.js')
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(module)}
    try {
      const postgres = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, durable: false, log() {} })
      process.once('SIGTERM', () => postgres.stop().then(() => process.exit(0)))
      console.log(JSON.stringify({ ...postgres, user: String(process.getuid?.()) }))
    } catch (error) {
      console.log(JSON.stringify({ refused: error.message }))
    }`
  cleanups.push(() => killServer(dataDir, 'SIGQUIT').catch(() => undefined))
  const child = spawnProgram(node, ['--input-type=module', '-e', script], { cwd: from, ...options })
  const outcome = await new Promise<Outcome>((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.endsWith('\n')) resolve(outcomeLine.parse(JSON.parse(text)))
    })
    child.once('error', reject)
    child.once('exit', (code) =>
      reject(new Error(`the gateway process exited with ${code} and said: ${text}`)),
    )
  })
  return { child, outcome }
}

/**
 * Copies what starting needs to where any user may read it: the checkout may lie in a directory of root's.
 */
export async function copyForAnyUser(uid: number): Promise<{ from: string; node: string }> {
  const from = await makeDirectory()
  for (const part of ['dist/packages/embedded-postgres', 'package.json'])
    await cp(path.join(root, part), path.join(from, part), { recursive: true })
  const binaries = path.dirname((await findBinaries()).native)
  const wanted = new Set(['pg', 'zod', path.relative(path.join(root, 'node_modules'), binaries)])
  for (const name of wanted) {
    const source = path.join(root, 'node_modules', name)
    if (!existsSync(source)) continue // an optional dependency
    await cp(source, path.join(from, 'node_modules', name), { recursive: true, verbatimSymlinks: true })
    const { dependencies } = manifest.parse(
      JSON.parse(await readFile(path.join(source, 'package.json'), 'utf8')),
    )
    for (const dependency of Object.keys(dependencies)) wanted.add(dependency)
  }
  let node = process.execPath
  const runs = promisify(execFile)(node, ['--version'], { uid, gid: uid, cwd: '/' })
  if (
    await runs.then(
      () => false,
      () => true,
    )
  ) {
    node = path.join(from, 'node')
    await cp(process.execPath, node)
  }
  await promisify(execFile)('chmod', ['-R', 'go+rX', from])
  return { from, node }
}

/** A data directory's parent that belongs to this user. */
export async function makeHomeOf(uid: number): Promise<string> {
  const home = await makeDirectory(0o700)
  await mkdir(path.join(home, 'data'), { mode: 0o700 })
  await chown(path.join(home, 'data'), uid, uid)
  await chown(home, uid, uid)
  return home
}
