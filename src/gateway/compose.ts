import type { RequestListener, Server } from 'node:http'
import { startAuditLog, type AuditLog } from '../audit/audit-log.js'
import { checkpointKeys } from '../audit/checkpoint.js'
import { auditDirectories } from '../audit/directories.js'
import { startSealer } from '../audit/sealer.js'
import { loadTokenKeys, type TokenKeys } from '../authentication/token-keys.js'
import { startLastUses } from '../authorization/last-uses.js'
import { createDirectory } from '../coherence/directory.js'
import { startNode, systemClock, type Node } from '../coherence/node.js'
import { ConfigError, type Config } from '../config.js'
import { connectDatabase, type Database } from '../database/connect.js'
import { providerSettings } from '../domain/provider-settings.js'
import { createSealing } from '../domain/sealing.js'
import { corsHeadersOf } from '../http/cors.js'
import { openCounts } from '../http/limits/counts.js'
import { watchLoad, type Load } from '../http/limits/load.js'
import { createGatewayServer } from '../http/server.js'
import { saveGlobalProviders } from '../login/provider-queries.js'
import { createPasswords } from '../login/password.js'
import { startRetention } from '../login/retention.js'
import { openOutbox, type Outbox } from '../messages/outbox.js'
import { startSender, type Sender } from '../messages/sender.js'
import { openWayOut } from '../messages/way-out.js'
import { startTokenUses } from '../oauth/token-uses.js'
import type { Log } from '../observability/logger.js'
import type { Metrics, Scrape } from '../observability/metrics.js'
import { startTracing } from '../observability/tracing.js'
import { startUsage } from '../observability/usage.js'
import { openIdentityKeys } from '../proxy/identity-keys.js'
import { liveRoutes, type LiveRoutes } from '../proxy/live-routes.js'
import { loadClient } from '../proxy/load-client.js'
import { reloadRoutes } from '../proxy/reload-routes.js'
import { loadRouteTable, type RouteTable } from '../proxy/route-table.js'
import { insertTokenKeys } from '../system/key-queries.js'
import { addUsage, forgetUsageWriter } from '../system/usage-queries.js'
import { buildGateway } from './chain.js'
import type { Gateway } from './gateway.js'
import type { Lifecycle } from './lifecycle.js'

/** What is prepared once before any number of processes serve. */
export interface Prepared {
  /** The login that requests use. */
  databaseUrl: string
  /** True when it is the owner's: each connection becomes `gateway_app`. */
  setRole: boolean
  demoUrl: string | undefined
}

/** The process around the gateway. */
export interface Surroundings {
  log: Log
  prepared: Prepared
  /** Every started part is registered here, so that it stops with the others. */
  lifecycle: Lifecycle
  metrics: Metrics
  scrape: Scrape
  /** Returns `host:port` on which it listens, as soon as that is known. */
  address: () => string
  isDraining?: () => boolean
  /** Whether a missing route file means that there are no routes. By default it is a fault. */
  routesMayBeMissing?: boolean
  /** Whether a change of the route file takes effect by itself when GATEWAY_ROUTES_WATCH is not set. */
  watchesRoutes?: boolean
}

/** Parts to replace. */
export interface Overrides {
  /** The route table, in place of the file GATEWAY_ROUTES. It is not read again. */
  table?: RouteTable
  /** Milliseconds between two batches of the audit's sealer. `never` leaves events unsealed. */
  sealEveryMs?: number | 'never'
}

/** A gateway with its running parts. */
export interface Composition {
  gateway: Gateway
  node: Node
  /** Creates a server with the gateway's limits, for the gateway's listener or another one. */
  createServer: (listener?: RequestListener) => Server
}

type Base = Surroundings & { config: Config; database: Database; secret: string }

async function openNode({
  config,
  database,
  prepared,
  log,
  metrics,
  address,
  lifecycle,
}: Base): Promise<Node> {
  return await lifecycle.start(
    'node',
    () =>
      startNode({
        database,
        logger: log.logger,
        clock: systemClock,
        directUrl: config.DATABASE_DIRECT_URL ?? prepared.databaseUrl,
        setRole: prepared.setRole,
        leaseMs: config.COHERENCE_LEASE_MS,
        maxEntries: config.COHERENCE_CACHE_ENTRIES,
        address,
        onWait: metrics.noteWait,
      }),
    (node) => node.stop(),
  )
}

async function openAudit(
  { config, database, secret, log: { logger }, lifecycle }: Base,
  sealEveryMs: Overrides['sealEveryMs'],
): Promise<AuditLog> {
  const directories = auditDirectories(config.DATA_DIR)
  const start = () => startAuditLog({ sql: database, logger, spillDirectory: directories.spill })
  if (sealEveryMs === 'never') return await lifecycle.start('audit', start, (audit) => audit.close())
  const audit = start()
  const sealer = startSealer({
    database,
    logger,
    audit,
    directory: directories.checkpoints,
    keys: checkpointKeys({ secret, previousSecret: config.SECRET_KEY_PREVIOUS }),
    ...(sealEveryMs === undefined ? {} : { everyMs: sealEveryMs }),
  })
  lifecycle.onStop('audit', async () => {
    await audit.close()
    await sealer.close() // seals what was just written
  })
  return audit
}

/** Opens the routes of a table. One that was read from the file is read again when that changes. */
async function openRoutes(
  { config, prepared, log: { logger }, lifecycle, routesMayBeMissing = false, watchesRoutes = false }: Base,
  table: RouteTable,
  isRead: boolean,
): Promise<LiveRoutes> {
  await loadClient()
  const routes = await lifecycle.start(
    'routes',
    () => liveRoutes(table, { demoUrl: prepared.demoUrl, logger }),
    (live) => live.close(),
  )
  if (isRead)
    await lifecycle.start(
      'reloading of routes',
      () =>
        reloadRoutes({
          file: config.GATEWAY_ROUTES,
          mayBeMissing: routesMayBeMissing,
          routes,
          logger,
          watch: config.GATEWAY_ROUTES_WATCH ?? watchesRoutes,
        }),
      (stop) => stop(),
    )
  return routes
}

/** Starts what works behind the requests, or beside them. */
async function openBackground({ config, database, secret, log: { logger }, lifecycle }: Base) {
  const close = (part: { close: () => Promise<void> }) => part.close()
  const tracing = await startTracing(config, logger)
  if (tracing) lifecycle.onStop('tracing', () => tracing.stop())
  return {
    tracing,
    usage: await lifecycle.start(
      'usage',
      () =>
        startUsage({
          write: (batch) => addUsage(database, batch),
          forget: (writerId) => forgetUsageWriter(database, writerId),
          logger,
        }),
      close,
    ),
    tokenUses: await lifecycle.start('token uses', () => startTokenUses({ sql: database, logger }), close),
    lastUses: await lifecycle.start('last uses', () => startLastUses({ sql: database, logger }), close),
    identityKeys: await lifecycle.start(
      'identity keys',
      () => openIdentityKeys({ database, logger, secret, previousSecret: config.SECRET_KEY_PREVIOUS }),
      close,
    ),
    retention: await lifecycle.start('retention', () => startRetention({ database, logger }), close),
    counts: await lifecycle.start('counts', () => openCounts({ redisUrl: config.REDIS_URL, logger }), close),
  }
}

/** Opens the outbox, and starts to send what it holds if there is a way out. */
async function openMessages(
  { config, database, log: { logger }, lifecycle }: Base,
  publicUrl: () => string,
): Promise<{ outbox: Outbox; sender: Sender | undefined }> {
  const wayOut = openWayOut(config)
  const sealing = createSealing(config, 'messages')
  const sender =
    wayOut &&
    (await lifecycle.start(
      'messages',
      () => startSender({ database, wayOut, sealing, logger }),
      (started) => started.close(),
    ))
  const outbox = openOutbox({
    limit: config.RATE_LIMIT_MAIL,
    hasWayOut: wayOut !== undefined,
    sealing,
    publicUrl,
    onQueued: () => sender?.wake(),
  })
  return { outbox, sender }
}

function openLoad({ config, lifecycle }: Pick<Base, 'config' | 'lifecycle'>): Load {
  const load = watchLoad({
    maxConnections: config.MAX_CONNECTIONS,
    maxPerAddress: config.MAX_CONNECTIONS_ADDRESS,
    maxMemoryMb: config.MAX_MEMORY_MB,
  })
  lifecycle.onStop('load', () => load.stop())
  return load
}

/**
 * Records when each key was first used, for operators only. So a node also starts while the database is away.
 */
async function noteKeys({ database, log: { logger } }: Base, keys: TokenKeys): Promise<void> {
  const rows = keys.verifying.map(({ kid }) => ({ kid, algorithm: keys.algorithm }))
  await insertTokenKeys(database, rows).catch((error: unknown) =>
    logger.debug('the keys could not be noted', { error }),
  )
}

/** Writes the rows of sign-in providers. Without the database they are written when one is next linked. */
async function noteProviders({ config, database, log: { logger } }: Base): Promise<void> {
  await saveGlobalProviders(database, providerSettings(config)).catch((error: unknown) =>
    logger.debug('the sign-in providers could not be noted', { error }),
  )
}

/**
 * Composes a gateway: a node on the prepared database, with everything that serves requests. The process, an
 * embedding program and the tests all use it. Rejects with a ConfigError or RouteTableError.
 */
export async function compose(
  config: Config,
  surroundings: Surroundings,
  overrides: Overrides = {},
): Promise<Composition> {
  const { prepared, log, lifecycle, metrics, scrape, address, isDraining = () => false } = surroundings
  const mayBeMissing = surroundings.routesMayBeMissing ?? false
  if (config.SECRET_KEY === undefined) throw new ConfigError(['SECRET_KEY: must be set'])
  const load = openLoad({ config, lifecycle })
  const keys = await loadTokenKeys(config)
  const table = overrides.table ?? (await loadRouteTable(config.GATEWAY_ROUTES, { mayBeMissing }))
  const database = await lifecycle.start(
    'database',
    () => connectDatabase({ url: prepared.databaseUrl, setRole: prepared.setRole }),
    (pool) => pool.close(),
  )
  const base: Base = { ...surroundings, config, database, secret: config.SECRET_KEY }
  await noteKeys(base, keys)
  await noteProviders(base)
  const node = await openNode(base)
  const audit = await openAudit(base, overrides.sealEveryMs)
  const background = await openBackground(base)
  const publicUrl = () => config.PUBLIC_URL ?? `http://${address()}`
  const { outbox, sender } = await openMessages(base, publicUrl)
  const routes = await openRoutes(base, table, overrides.table === undefined)
  metrics.watch({
    audit,
    usage: background.usage,
    load,
    messages: () => sender?.counts() ?? { sent: 0, retried: 0, failed: 0, pending: 0 },
    lease: node.lease,
    streams: node.streams,
    memory: node.memory.counts,
    pool: database.connections,
    upstreams: () => routes.current().upstreams.status(),
  })
  const gateway = buildGateway({
    config,
    database,
    node,
    keys,
    audit,
    log,
    logger: log.logger,
    logRequest: log.logRequest,
    routes,
    isDraining,
    metrics,
    scrape,
    load,
    publicUrl,
    outbox,
    directory: createDirectory({ sql: database, memory: node.memory }),
    passwords: createPasswords(),
    ...background,
  })
  return {
    gateway,
    node,
    createServer: (listener = gateway.listener) => {
      const server = createGatewayServer(listener, { corsHeaders: corsHeadersOf(config.CORS_ORIGINS) })
      load.watch(server)
      return server
    },
  }
}
