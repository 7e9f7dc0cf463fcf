import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '#embedded-postgres'
import { clientOf, type Client } from '../../faults/support/http.js'
import type { TestDatabase } from '../../support/database.js'
import {
  cleanUpProcesses,
  makeDataDir,
  startGatewayProcess,
  type GatewayProcess,
} from '../../support/gateway-process.js'
import { startComposeNginx } from '../../support/nginx.js'
import { freePort, type Proxy } from '../../support/proxy-process.js'
import { prepareRedis, type TestRedis } from '../../support/redis.js'
import { until } from '../../support/until.js'
import { composeEnvironment, composeRoutes } from './compose.js'

const root = path.resolve(import.meta.dirname, '../../..')

/** A gateway node of the topology, which keeps its address whatever becomes of its process. */
export interface TopologyNode {
  url: string
  metricsUrl: string
  process: () => GatewayProcess
  /** Starts a process, and answers when it is ready to be sent requests. */
  start: () => Promise<void>
  /** SIGTERM, and its end. Answers the exit code. */
  terminate: () => Promise<number | string>
  /** SIGKILL, and its end. */
  kill: () => Promise<void>
}

/**
 * What `docker-compose.yml` starts, as plain processes with its own configuration: only addresses are others.
 */
export interface Topology {
  /** nginx, in front of it all. */
  url: string
  nginx: Proxy
  nodes: TopologyNode[]
  redis: TestRedis
  postgres: { stop: () => Promise<void>; start: () => Promise<void> }
  database: TestDatabase
  stop: () => Promise<void>
}

/**
 * A Postgres that is stopped as `docker stop` stops it (a fast shutdown) and comes back at the same address.
 */
async function startPostgres() {
  const dataDir = await makeDataDir()
  const port = await freePort()
  const begin = () => startEmbeddedPostgres({ dataDir, port, durable: true, log: () => undefined })
  let running = await begin()
  const { url, ownerUrl } = running
  const owner = new pg.Pool({ connectionString: ownerUrl, max: 2 })
  owner.on('error', () => undefined)
  return {
    postgres: {
      stop: () => running.stop(),
      start: async () => {
        running = await begin()
      },
    },
    database: {
      url,
      ownerUrl,
      sql: async <Row>(statement: string, values: unknown[] = []) =>
        (await owner.query(statement, values)).rows as Row[],
      drop: async () => {
        await owner.end()
        await running.stop()
      },
    } satisfies TestDatabase,
  }
}

/** The demo upstream, started as the compose file starts it. */
async function startService(): Promise<{ url: string; stop: () => Promise<void> }> {
  const child = spawn(process.execPath, ['examples/demo-upstream.js'], {
    cwd: root,
    env: { PORT: '0', HOST: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const url = /listens on (\S+)/.exec(line.toString())?.[1]
  if (url === undefined) throw new Error(`the demo upstream said: ${line.toString()}`)
  return {
    url,
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function makeNode(environment: Record<string, string>): Promise<TopologyNode> {
  const [port, metricsPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const client: Client = clientOf(url)
  const own = {
    ...environment,
    DATA_DIR: await makeDataDir(),
    HOST: '127.0.0.1',
    PORT: String(port),
    METRICS_PORT: String(metricsPort),
  }
  let running: GatewayProcess | undefined
  const present = () => {
    if (!running) throw new Error('the node has not been started')
    return running
  }
  const signal = (name: 'SIGTERM' | 'SIGKILL') => {
    present().child.kill(name)
    return present().ended
  }
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
    process: present,
    start: async () => {
      running = startGatewayProcess(own)
      await running.url()
      await until(async () => ((await client.ask('/readyz')).status === 200 ? true : undefined), 20_000)
      client.close()
    },
    terminate: () => signal('SIGTERM'),
    kill: async () => {
      await signal('SIGKILL')
    },
  }
}

/** Starts all of it, migrated and with the demo data. */
export async function startTopology(): Promise<Topology> {
  const [{ postgres, database }, redis, service] = await Promise.all([
    startPostgres(),
    prepareRedis(),
    startService(),
  ])
  await redis.start()
  const environment = {
    ...(await composeEnvironment()),
    DATABASE_URL: database.url,
    DATABASE_MIGRATION_URL: database.ownerUrl,
    REDIS_URL: redis.url,
    GATEWAY_ROUTES: await composeRoutes(await makeDataDir(), service.url),
  }
  const nodes = await Promise.all([1, 2, 3].map(() => makeNode(environment)))
  await Promise.all(nodes.map((node) => node.start()))
  const nginx = await startComposeNginx(nodes.map(({ url }) => url))
  return {
    url: nginx.url,
    nginx,
    nodes,
    redis,
    postgres,
    database,
    stop: async () => {
      await nginx.stop()
      await Promise.all(nodes.map((node) => node.kill()))
      await Promise.all([redis.stop(), service.stop(), database.drop()])
      await cleanUpProcesses()
    },
  }
}
