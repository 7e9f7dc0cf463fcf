import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startAuditLog } from '../../src/audit/audit-log.js'
import { checkpointKeys } from '../../src/audit/checkpoint.js'
import { startSealer } from '../../src/audit/sealer.js'
import { loadTokenKeys } from '../../src/authentication/token-keys.js'
import { createDirectory } from '../../src/coherence/directory.js'
import { startNode, systemClock } from '../../src/coherence/node.js'
import { loadConfig, type Config } from '../../src/config.js'
import { connectDatabase } from '../../src/database/connect.js'
import { buildGateway } from '../../src/gateway/chain.js'
import { corsHeadersOf } from '../../src/http/cors.js'
import { openCounts } from '../../src/http/limits/counts.js'
import { watchLoad } from '../../src/http/limits/load.js'
import { createGatewayServer } from '../../src/http/server.js'
import { createLog } from '../../src/observability/logger.js'
import { createMetrics } from '../../src/observability/metrics.js'
import { startTracing } from '../../src/observability/tracing.js'
import { startUsage } from '../../src/observability/usage.js'
import { addUsage, forgetUsageWriter } from '../../src/system/usage-queries.js'
import { createPasswords } from '../../src/login/password.js'
import { startTokenUses } from '../../src/oauth/token-uses.js'
import { startDemoUpstream } from '../../src/proxy/demo-upstream.js'
import { liveRoutes } from '../../src/proxy/live-routes.js'
import { openIdentityKeys } from '../../src/proxy/identity-keys.js'
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
  const config = loadConfig({
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
  const { logger } = log
  const pool = connectDatabase({ url: own.url, setRole: false })
  const metrics = createMetrics()
  const load = watchLoad({
    maxConnections: config.MAX_CONNECTIONS,
    maxPerAddress: config.MAX_CONNECTIONS_ADDRESS,
    maxMemoryMb: config.MAX_MEMORY_MB,
  })
  const node = await startNode({
    database: pool,
    logger,
    clock: systemClock,
    directUrl: own.url,
    setRole: false,
    leaseMs: config.COHERENCE_LEASE_MS,
    maxEntries: config.COHERENCE_CACHE_ENTRIES,
    address: () => 'test',
    onWait: metrics.noteWait,
  })
  const spillDirectory = await mkdtemp(path.join(tmpdir(), 'mandate-gateway-test-spill-'))
  const audit = startAuditLog({ sql: pool, logger, spillDirectory })
  const sealer = sealing
    ? startSealer({
        database: pool,
        logger,
        audit,
        directory: path.join(spillDirectory, 'checkpoints'),
        keys: checkpointKeys({ secret: config.SECRET_KEY }),
        everyMs: 300,
      })
    : undefined
  const tokenUses = startTokenUses({ sql: pool, logger })
  const identityKeys = await openIdentityKeys({ database: pool, logger, secret: `${testSecret}-portal` })
  const demo = demoUpstream ? await startDemoUpstream() : undefined
  const counts = openCounts({ redisUrl: config.REDIS_URL, logger })
  const live = liveRoutes(parseRouteTable(routes, 'routes.yaml'), { demoUrl: demo?.url, logger })
  const tracing = await startTracing(config, logger)
  const usage = startUsage({
    write: (batch) => addUsage(pool, batch),
    forget: (writerId) => forgetUsageWriter(pool, writerId),
    logger,
  })
  metrics.watch({
    audit,
    usage,
    load,
    lease: node.lease,
    streams: node.streams,
    memory: node.memory.counts,
    pool: pool.connections,
    upstreams: () => live.current().upstreams.status(),
  })
  let url = ''
  const { listener } = buildGateway({
    config,
    publicUrl: () => config.PUBLIC_URL ?? url,
    database: pool,
    directory: createDirectory({ sql: pool, memory: node.memory }),
    node,
    keys: await loadTokenKeys(config),
    passwords: createPasswords(),
    tokenUses,
    counts,
    audit,
    log,
    logger,
    logRequest: log.logRequest,
    routes: live,
    identityKeys,
    isDraining: () => false,
    metrics,
    tracing,
    usage,
    load,
    scrape: () => metrics.registry.metrics(),
  })
  const server = createGatewayServer(listener, { corsHeaders: corsHeadersOf(config.CORS_ORIGINS) })
  load.watch(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    server,
    database: own,
    config,
    logLines,
    stop: async () => {
      node.streams.drain()
      load.stop()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await counts.close()
      await identityKeys.close()
      await tokenUses.close()
      await audit.close()
      await sealer?.close()
      await usage.close()
      await tracing?.stop()
      await rm(spillDirectory, { recursive: true, force: true })
      await live.close()
      await demo?.stop()
      await node.stop()
      await pool.close()
      if (!database) await own.drop()
    },
  }
}
