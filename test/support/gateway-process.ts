import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '../..')

/** The real program in a process of its own. */
export interface GatewayProcess {
  child: ChildProcess
  /** What it has written to standard output and standard error so far. */
  output: () => string
  errors: () => string
  /** Resolves when its standard output matches; rejects with all it said when it ends without. */
  says: (pattern: RegExp) => Promise<RegExpExecArray>
  /** The address that it said it listens on. */
  url: () => Promise<string>
  /** Its exit code, or the signal that killed it. */
  ended: Promise<number | string>
}

const processes: GatewayProcess[] = []
const directories: string[] = []

/** A data directory that goes at the end, with the Postgres that may run in it. */
export async function makeDataDir(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'gateway-process-'))
  directories.push(directory)
  return directory
}

/**
 * Starts `node dist/main.js`, or another command that comes to the same, on a free port, with these variables
 * and no others of ours.
 */
export function startGatewayProcess(
  environment: Record<string, string>,
  [command, ...args]: [string, ...string[]] = [process.execPath, 'dist/main.js'],
  cwd = root,
): GatewayProcess {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(command, args, {
    cwd,
    env: { PATH, HOME, PORT: '0', LOG_FORMAT: 'json', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      texts[name] += chunk.toString()
    })
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  const says = async (pattern: RegExp) => {
    for (let open = true; ;) {
      const found = pattern.exec(texts.stdout)
      if (found) return found
      if (!open)
        throw new Error(
          `the gateway ended before it said ${String(pattern)}:\n${texts.stdout}${texts.stderr}`,
        )
      open = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)])
    }
  }
  const started: GatewayProcess = {
    child,
    says,
    ended,
    output: () => texts.stdout,
    errors: () => texts.stderr,
    url: async () =>
      (await says(/"message":"listening".*?"url":"([^"]+)"|"url":"([^"]+)".*?"message":"listening"/))
        .slice(1)
        .find(Boolean) ?? '',
  }
  processes.push(started)
  return started
}

async function stopPostgres(dataDir: string): Promise<void> {
  const pid = Number.parseInt(
    await readFile(path.join(dataDir, 'postgres/postmaster.pid'), 'utf8').catch(() => ''),
    10,
  )
  try {
    if (pid > 0) process.kill(pid, 'SIGQUIT')
  } catch {
    // it is gone already
  }
}

/** Ends all processes and removes all data directories, however the tests went. */
export async function cleanUpProcesses(): Promise<void> {
  for (const { child, ended } of processes.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  }
  for (const directory of directories.splice(0)) {
    await stopPostgres(directory)
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}
