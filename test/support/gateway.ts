import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { loadConfig, type Config } from '../../src/config.js'
import { compose } from '../../src/gateway/compose.js'
import { Lifecycle } from '../../src/gateway/lifecycle.js'
import { createLog } from '../../src/observability/logger.js'
import { createMetrics } from '../../src/observability/metrics.js'
import { startDemoUpstream } from '../../src/proxy/demo-upstream.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'
import { createTestDatabase, type TestDatabase } from './database.js'

/** The secret that test gateways sign with. */
export const testSecret = 'test-secret-0123456789-abcdefghijklmnop'

/** The route table of the demo, without its file. */
export const demoRoutes = `
upstreams:
  crm: { targets: [demo] }
routes:
  /api/crm: { upstream: crm, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
`

/** A whole gateway in this process: real HTTP, real Postgres, real signatures. */
export interface TestGateway {
  url: string
  server: Server
  database: TestDatabase
  config: Config
  /** The lines that the gateway has logged, as JSON text. */
  logLines: string[]
  stop: () => Promise<void>
}

interface Options {
  /** Variables beside those that a test gateway needs. */
  environment?: Record<string, string>
  routes?: string
  /** Start the demo upstream, for routes whose target is `demo`. */
  demoUpstream?: boolean
  /** Seal the audit's events, as a gateway that is started does. */
  sealing?: boolean
  database?: TestDatabase
}

/**
 * Starts a gateway on a free port, on a database of its own unless one is given. Rate limits are off, and so
 * is its memory, unless set.
 */
export async function startTestGateway({
  environment = {},
  routes = demoRoutes,
  demoUpstream = false,
  sealing = false,
  database,
}: Options = {}): Promise<TestGateway> {
  const own = database ?? (await createTestDatabase())
  const dataDir = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-test-data-'))
  const config = loadConfig({
    DATA_DIR: dataDir,
    DATABASE_URL: own.url,
    DATABASE_MIGRATION_URL: own.ownerUrl,
    APP_JWT_KEY_SECRET: testSecret,
    SECRET_KEY: `${testSecret}-portal`,
    RATE_LIMIT_ADDRESS: 'off',
    RATE_LIMIT_USER: 'off',
    RATE_LIMIT_LOGIN: 'off',
    COHERENCE_LEASE_MS: '0',
    ...environment,
  })
  const logLines: string[] = []
  const log = createLog(
    { LOG_LEVEL: 'debug', LOG_FORMAT: 'json' },
    { write: (line) => logLines.push(line), flush: () => undefined },
  )
  const lifecycle = new Lifecycle()
  const demo = demoUpstream
    ? await lifecycle.start('demo upstream', startDemoUpstream, (started) => started.stop())
    : undefined
  const metrics = createMetrics()
  let address = '127.0.0.1:0'
  const { node, createServer } = await compose(
    config,
    {
      log,
      prepared: { databaseUrl: own.url, setRole: false, demoUrl: demo?.url },
      lifecycle,
      metrics,
      scrape: () => metrics.registry.metrics(),
      address: () => address,
    },
    { table: parseRouteTable(routes, 'routes.yaml'), sealEveryMs: sealing ? 300 : 'never' },
  )
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: `http://${address}`,
    server,
    database: own,
    config,
    logLines,
    stop: async () => {
      node.streams.drain()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await lifecycle.stop((part, error) => {
        throw new Error(`${part} did not stop`, { cause: error })
      })
      await rm(dataDir, { recursive: true, force: true })
      if (!database) await own.drop()
    },
  }
}
