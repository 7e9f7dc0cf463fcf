import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { hasCode } from './errors.js'
import { unlessMissing } from './files.js'
import { launch, type Launched, type Server } from './launch.js'
import { disarmPidFile, isPostmaster, sightPostmaster } from './pidfile.js'

/** The owner's connection to the running server. */
export interface Link {
  client: pg.Client
  port: number
  /** the server's process */
  pid: number
  /** resolves when the connection is gone, for whatever reason */
  closed: Promise<void>
}

const startMs = 60_000
const pollMs = 15
const maxLaunches = 3
const relaunchMs = 100
const quickStopMs = 20_000

/** The name of a gateway's lock connection; its process id follows. */
export const lockName = 'gateway lock '

/** Connects to the cluster's server: to a running one, even of a killed gateway, else to a new one. */
export async function reachServer(server: Server, signal: AbortSignal): Promise<Link> {
  const deadline = Date.now() + startMs
  const log = path.join(server.dataDir, 'postgres.log')
  const logStart = (await unlessMissing(stat(log)))?.size ?? 0
  let child: Launched | undefined
  for (let launches = 0; ;) {
    if (signal.aborted) await child?.interrupt()
    signal.throwIfAborted()
    if (Date.now() > deadline)
      throw new Error(`the embedded Postgres was not ready after ${startMs} ms. ${await tail(log, logStart)}`)

    const seen = await sightPostmaster(server.cluster)
    if (seen.state === 'running') {
      const link = seen.ready
        ? await connect(server, seen).catch(async (error: unknown) => {
            await child?.interrupt() // nobody can use it
            throw error
          })
        : undefined
      if (link) return link
    } else if (seen.state === 'impostor') {
      await disarmPidFile(server.cluster, seen.text)
    } else if (seen.state === 'absent' && (child === undefined || child.ended() !== undefined)) {
      if (launches++ === maxLaunches)
        throw new Error(`the embedded Postgres ${child?.ended()}. ${await tail(log, logStart)}`)
      await sleep((launches - 1) * relaunchMs) // processes of a killed server may take a moment to go
      child = await launch(server, log)
    }
    await sleep(pollMs)
  }
}

/** Undefined while the server is not ready to answer. */
async function connect(
  server: Server,
  { port, pid }: { port: number; pid: number },
): Promise<Link | undefined> {
  if (server.port !== undefined && server.port !== port) {
    throw new Error(
      `the embedded Postgres runs on port ${port}, started by another gateway, instead of ${server.port}`,
    )
  }
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: server.password,
    database: 'postgres',
    ssl: false,
    connectionTimeoutMillis: 5000,
    application_name: `${lockName}${process.pid}`,
    options: '-c log_min_error_statement=panic', // a failed CREATE ROLE must not log its password
  })
  const closed = new Promise<void>((resolve) => client.once('end', () => resolve()))
  client.on('error', () => undefined) // 'end' follows, and says enough
  try {
    await client.connect()
    return { client, port, pid, closed }
  } catch (error) {
    client.end().catch(() => undefined) // nothing waits for a connection that never was
    if (!hasCode(error, '28P01')) return undefined
    throw new Error(`the passwords in ${server.dataDir} do not open its Postgres`, { cause: error })
  }
}

async function tail(log: string, start: number): Promise<string> {
  const text = (await readFile(log).catch(() => Buffer.alloc(0))).subarray(start).toString()
  return `The end of ${log}:\n${text.trim().split('\n').slice(-15).join('\n')}`
}

/**
 * Stops the cluster's server, if it runs, without waiting for its clients. Resolves when the process has
 * gone.
 */
export async function shutDown(cluster: string): Promise<void> {
  const seen = await sightPostmaster(cluster)
  if (seen.state !== 'running') return
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    try {
      process.kill(seen.pid, signal)
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error
    }
    const deadline = Date.now() + quickStopMs
    while (Date.now() < deadline) {
      if (!(await isPostmaster(seen.pid, cluster))) return
      await sleep(pollMs)
    }
  }
  throw new Error(`the embedded Postgres (pid ${seen.pid}) does not stop`)
}
