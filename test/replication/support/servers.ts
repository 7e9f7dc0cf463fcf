import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  open,
  readFile,
  readlink,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startEmbeddedPostgres } from '#embedded-postgres'
import pg from 'pg'
import { withMigrator } from '../../../src/database/migrate.js'
import { createPasswords } from '../../../src/login/password.js'
import { freePort } from '../../support/proxy-process.js'
import { until } from '../../support/until.js'

/**
 * A stopped cluster, migrated and with the demo data, from which servers are made; and the program that runs
 * it.
 */
interface Seed {
  cluster: string
  program: string
  passwords: { owner: string; app: string }
  directory: string
}

async function makeSeed(): Promise<Seed> {
  const directory = await mkdtemp(path.join(tmpdir(), 'replication-'))
  const dataDir = path.join(directory, 'seed')
  const postgres = await startEmbeddedPostgres({ dataDir, durable: false, log: () => undefined })
  const cluster = await realpath(path.join(dataDir, 'postgres'))
  try {
    await withMigrator(postgres.ownerUrl, async (migrator) => {
      await migrator.up()
      await migrator.seedDemo(createPasswords().hash)
    })
    const pid = Number.parseInt(await readFile(path.join(cluster, 'postmaster.pid'), 'utf8'), 10)
    const passwords = { owner: new URL(postgres.ownerUrl).password, app: new URL(postgres.url).password }
    return { cluster, program: await readlink(`/proc/${pid}/exe`), passwords, directory }
  } finally {
    await postgres.stop()
  }
}

/** One server of a pair: a primary, or a standby that streams from one. */
export interface Server {
  port: number
  /** Runs SQL as the owner. */
  sql: <Row = Record<string, unknown>>(statement: string, values?: unknown[]) => Promise<Row[]>
  promote: () => Promise<void>
  /** SIGKILL to all its processes. */
  kill: () => Promise<void>
  /** SIGINT: a fast shutdown, after which the standby has everything. */
  stop: () => Promise<void>
  /** SIGSTOP to all its processes. */
  pause: () => Promise<void>
  resume: () => void
}

/** A primary with a synchronous standby, and their successors. */
export interface Pair {
  primary: Server
  standby: Server
  /** The URL of a login at a port. */
  url: (port: number, login?: 'postgres' | 'gateway') => string
  passwords: Seed['passwords']
  directory: string
  /**
   * The standby has been promoted: it becomes the primary, and a new standby is made of it in place of the
   * old primary.
   */
  rebuild: () => Promise<void>
  close: () => Promise<void>
}

/**
 * Starts a program that refuses to be root: root gives up its identity in a user namespace, in which its
 * files stay its own.
 */
export function spawnUnprivileged(program: string, args: string[], output: number): ChildProcess {
  const prefix =
    process.getuid?.() === 0 ? ['unshare', '-U', '--map-user=1000', '--map-group=1000', '--'] : []
  const [file = program, ...rest] = [...prefix, program, ...args]
  return spawn(file, rest, { cwd: '/', stdio: ['ignore', output, output] })
}

/**
 * One read, as a search through all of /proc takes seconds on a busy machine: a server that is killed must be
 * gone at once.
 */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

const signal = (pid: number, name: NodeJS.Signals) => {
  try {
    process.kill(pid, name)
  } catch {
    // it has ended
  }
}

/** Starts a primary and a synchronous standby: two copies of one stopped cluster, without pg_basebackup. */
export async function startPair(): Promise<Pair> {
  const seed = await makeSeed()
  const url = (port: number, login: 'postgres' | 'gateway' = 'gateway') =>
    `postgres://${login}:${login === 'postgres' ? seed.passwords.owner : seed.passwords.app}@127.0.0.1:${port}/gateway`
  const running = new Set<ChildProcess>()
  const pools: pg.Pool[] = []
  let made = 0

  const start = async (cluster: string, port: number): Promise<Server> => {
    const log = await open(`${cluster}.log`, 'a')
    // processes are killed here, not machines
    const child = spawnUnprivileged(
      seed.program,
      [
        '-D',
        cluster,
        '-c',
        `port=${port}`,
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        'unix_socket_directories=',
        '-c',
        'max_connections=200',
        '-c',
        'timezone=UTC',
        '-c',
        'wal_retrieve_retry_interval=500ms',
        '-c',
        'fsync=off',
      ],
      log.fd,
    )
    await log.close()
    running.add(child)
    const ended = once(child, 'close').then(() => {
      running.delete(child)
    })
    const pool = new pg.Pool({
      connectionString: url(port, 'postgres'),
      max: 2,
      connectionTimeoutMillis: 2000,
    })
    pool.on('error', () => undefined)
    pools.push(pool)
    const sql = async <Row>(statement: string, values: unknown[] = []) =>
      (await pool.query(statement, values)).rows as Row[]
    await until(
      () =>
        sql('select 1').catch(() => {
          if (child.exitCode !== null) throw new Error(`the server has ended: see ${cluster}.log`)
          return undefined
        }),
      60_000,
    )
    let paused: number[] = []
    return {
      port,
      sql,
      promote: async () => {
        // No standby of its own yet: as those who promote do, it is told to wait for none.
        await sql(`alter system set synchronous_standby_names = ''`).catch(() => undefined)
        await sql('select pg_promote()')
      },
      kill: async () => {
        const all = [child.pid ?? 0, ...(await childrenOf(child.pid ?? 0))]
        for (const pid of all) signal(pid, 'SIGKILL')
        await ended
      },
      stop: async () => {
        child.kill('SIGINT')
        await ended
      },
      pause: async () => {
        paused = [child.pid ?? 0, ...(await childrenOf(child.pid ?? 0))]
        for (const pid of paused) signal(pid, 'SIGSTOP')
      },
      resume: () => {
        for (const pid of paused.splice(0)) signal(pid, 'SIGCONT')
      },
    }
  }

  const configure = (cluster: string, primaryPort: number | undefined) =>
    appendFile(
      path.join(cluster, 'postgresql.auto.conf'),
      primaryPort === undefined
        ? ''
        : '\n' +
            `primary_conninfo = 'host=127.0.0.1 port=${primaryPort} user=postgres password=${seed.passwords.owner}'\n` +
            `synchronous_standby_names = ''\n`,
    )

  const nextCluster = () => path.join(seed.directory, `server-${(made += 1)}`)

  const waitForStandby = async (primary: Server) => {
    await primary.sql(`alter system set synchronous_standby_names = '*'`)
    await primary.sql('select pg_reload_conf()')
    await until(
      async () =>
        (await primary.sql(`select from pg_stat_replication where sync_state = 'sync'`)).length === 1,
      60_000,
    )
  }

  /** A standby of a running primary, by the low-level backup functions. */
  const makeStandby = async (primary: Server, from: string): Promise<{ server: Server; cluster: string }> => {
    const cluster = nextCluster()
    const session = new pg.Client(url(primary.port, 'postgres'))
    await session.connect()
    await session.query(`select pg_backup_start('standby', fast => true)`)
    await cp(from, cluster, {
      recursive: true,
      filter: (file) => !/postmaster\.(pid|opts)$|standby\.signal$/.test(file),
      preserveTimestamps: true,
      errorOnExist: false,
    })
    const {
      rows: [backup],
    } = await session.query<{ labelfile: string }>(
      'select labelfile from pg_backup_stop(wait_for_archive => false)',
    )
    await session.end()
    await writeFile(path.join(cluster, 'backup_label'), backup!.labelfile)
    return { server: await startStandby(cluster, primary.port), cluster }
  }

  const startStandby = async (cluster: string, primaryPort: number) => {
    await configure(cluster, primaryPort)
    await writeFile(path.join(cluster, 'standby.signal'), '')
    await mkdir(path.join(cluster, 'pg_wal'), { recursive: true })
    return await start(cluster, await freePort())
  }

  const clusters = { primary: nextCluster(), standby: nextCluster() }
  for (const cluster of Object.values(clusters)) await cp(seed.cluster, cluster, { recursive: true })
  const primary = await start(clusters.primary, await freePort())
  const standby = await startStandby(clusters.standby, primary.port)
  await waitForStandby(primary)

  const pair: Pair = {
    primary,
    standby,
    url,
    passwords: seed.passwords,
    directory: seed.directory,
    rebuild: async () => {
      const old = clusters.primary
      pair.primary.resume()
      await pair.primary.kill()
      pair.primary = pair.standby
      clusters.primary = clusters.standby
      await rm(old, { recursive: true, force: true })
      const next = await makeStandby(pair.primary, clusters.primary)
      clusters.standby = next.cluster
      pair.standby = next.server
      await waitForStandby(pair.primary)
    },
    close: async () => {
      for (const pool of pools) await pool.end().catch(() => undefined)
      for (const server of [pair.primary, pair.standby]) {
        server.resume()
        await server.kill()
      }
      for (const child of running) child.kill('SIGKILL')
      await rm(seed.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    },
  }
  return pair
}
