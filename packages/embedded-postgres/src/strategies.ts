import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { copyBinaries, type Binaries } from './binaries.js'
import { messageOf } from './errors.js'

/** A way to run Postgres, which refuses to be root. */
export interface RunStrategy {
  name: string
  /** the uid that owns the cluster's files, as the host sees it */
  owner: number
  /** put before the command */
  prefix: readonly string[]
  credentials: { uid?: number; gid?: number }
  /** where programs and data go when this user cannot reach the usual places */
  refuge?: string
}

/** A strategy that was tried and works, with the directory that its cluster lives in or will. */
export interface Runner {
  strategy: RunStrategy
  binaries: Binaries
  home: string
}

export interface ExistingCluster {
  directory: string
  owner: number
}

const nobody = 65_534

/** An ordinary user runs Postgres directly. Root gives up its identity, best in a user namespace. */
export function defaultStrategies(existing: ExistingCluster | undefined): RunStrategy[] {
  const uid = process.getuid?.()
  if (uid !== 0) return [{ name: 'as this user', owner: uid ?? 0, prefix: [], credentials: {} }]
  const inNamespace: RunStrategy = {
    // The files stay root's, so this also works below directories that only root may enter.
    name: 'in a user namespace',
    owner: 0,
    credentials: {},
    prefix: ['unshare', '-U', '--map-user=1000', '--map-group=1000', '--'],
  }
  // A cluster of an ordinary user is run as that user.
  const other = existing === undefined || existing.owner === 0 ? nobody : existing.owner
  return [inNamespace, asOtherUser(other, '/var/lib/mandate-gateway')]
}

/** Runs Postgres under another uid: root only. */
export function asOtherUser(uid: number, refuge: string): RunStrategy {
  return { name: `as uid ${uid}`, owner: uid, prefix: [], credentials: { uid, gid: uid }, refuge }
}

/** A command line as the strategy runs it, with no more environment than Postgres needs. */
export function commandOf(strategy: RunStrategy, program: string, args: readonly string[]) {
  const [file, ...rest] = [...strategy.prefix, program, ...args]
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' }
  return { file: file ?? program, args: rest, options: { ...strategy.credentials, cwd: '/', env } }
}

/**
 * Returns the first strategy that runs Postgres and reaches its data. Rejects with an error that says what
 * was tried.
 */
export async function chooseRunner(
  strategies: readonly RunStrategy[],
  binaries: Binaries,
  dataDir: string,
  existing: ExistingCluster | undefined,
): Promise<Runner> {
  const failures: string[] = []
  for (const strategy of strategies) {
    if (existing !== undefined && existing.owner !== strategy.owner) {
      failures.push(
        `${strategy.name}: ${existing.directory} belongs to uid ${existing.owner}, not ${strategy.owner}`,
      )
      continue
    }
    for (const place of places(strategy, binaries, dataDir, existing)) {
      try {
        const runner = await place()
        await probe(runner)
        return runner
      } catch (error) {
        failures.push(`${strategy.name}: ${messageOf(error).trim()}`)
      }
    }
  }
  throw new Error(
    `the embedded Postgres cannot run here. Tried:\n  ${failures.join('\n  ')}\n` +
      'Run the gateway as an ordinary user who owns the data directory, or set DATABASE_URL to a Postgres of your own.',
  )
}

/** Directories from the nearest to the farthest. Each is prepared only when its turn comes. */
function places(
  strategy: RunStrategy,
  binaries: Binaries,
  dataDir: string,
  existing: ExistingCluster | undefined,
): (() => Promise<Runner>)[] {
  const near = existing === undefined ? dataDir : path.dirname(existing.directory)
  const { refuge } = strategy
  const inPlace = async () => {
    // Another user can pass through to the cluster, but cannot list or change what lies beside it.
    if (strategy.owner !== (process.getuid?.() ?? 0)) await chmod(dataDir, 0o711)
    return { strategy, binaries, home: near }
  }
  if (refuge === undefined) return [inPlace]
  const copied = async () => ({ strategy, binaries: await copyBinaries(binaries, refuge), home: near })
  const away = async () => ({ ...(await copied()), home: await makeHome(refuge, dataDir) })
  return existing === undefined ? [inPlace, copied, away] : [inPlace, copied]
}

async function makeHome(refuge: string, dataDir: string): Promise<string> {
  const home = path.join(refuge, createHash('sha256').update(dataDir).digest('hex').slice(0, 16))
  await mkdir(home, { recursive: true })
  await chmod(home, 0o711)
  return home
}

async function probe({ strategy, binaries, home }: Runner): Promise<void> {
  const script = 'cd "$1" && exec "$2" --version'
  const postgres = path.join(binaries.native, 'bin', 'postgres')
  const { file, args, options } = commandOf(strategy, 'sh', ['-c', script, 'sh', home, postgres])
  await promisify(execFile)(file, args, options)
}
