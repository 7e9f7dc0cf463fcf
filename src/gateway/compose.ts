import { startAuditLog } from '../audit/audit-log.js'
import { checkpointKeys } from '../audit/checkpoint.js'
import { auditDirectories } from '../audit/directories.js'
import { startSealer } from '../audit/sealer.js'
import { loadTokenKeys } from '../authentication/token-keys.js'
import { createDirectory } from '../coherence/directory.js'
import { startNode, systemClock, type Node } from '../coherence/node.js'
import { ConfigError, type Config } from '../config.js'
import { connectDatabase } from '../database/connect.js'
import { buildGateway, type Gateway } from './chain.js'
import { openCounts } from '../http/limits/counts.js'
import type { Load } from '../http/limits/load.js'
import { createPasswords } from '../login/password.js'
import { startTokenUses } from '../oauth/token-uses.js'
import { startRetention } from '../login/retention.js'
import type { Log } from '../observability/logger.js'
import type { Metrics, Scrape } from '../observability/metrics.js'
import { startTracing } from '../observability/tracing.js'
import { startUsage } from '../observability/usage.js'
import type { Stop } from './lifecycle.js'
import { loadClient } from '../proxy/load-client.js'
import { openIdentityKeys } from '../proxy/identity-keys.js'
import { liveRoutes } from '../proxy/live-routes.js'
import { loadRouteTable } from '../proxy/route-table.js'
import { reloadRoutes } from '../proxy/reload-routes.js'
import { addUsage, forgetUsageWriter } from '../system/usage-queries.js'
import { insertTokenKeys } from '../system/key-queries.js'

interface Surroundings {
  /** `host:port` that it listens on, as far as that is known yet. */
  address: () => string
  isDraining: () => boolean
  metrics: Metrics
  scrape: Scrape
  load: Load
  /** Whether a missing route file is a table without routes; else it is a fault. */
  routesMayBeMissing?: boolean
  /** Whether a change of the route file takes effect by itself, where GATEWAY_ROUTES_WATCH does not say. */
  watchesRoutes: boolean
}

/** What has to be there once before any number of processes may serve. */
export interface Prepared {
  /** The login that requests use. */
  databaseUrl: string
  /** True when it is the owner's: each connection becomes `gateway_app`. */
  setRole: boolean
  demoUrl: string | undefined
}

/**
 * Everything that serves requests but the server: a node on the prepared database. What it starts goes onto
 * `stops`.
 */
export async function assemble(
  config: Config,
  log: Log,
  { databaseUrl, setRole, demoUrl }: Prepared,
  stops: Stop[],
  { address, isDraining, metrics, scrape, load, routesMayBeMissing = false, watchesRoutes }: Surroundings,
): Promise<{ gateway: Gateway; node: Node }> {
  const { logger, logRequest } = log
  if (config.SECRET_KEY === undefined) throw new ConfigError(['SECRET_KEY: must be set'])
  const keys = await loadTokenKeys(config)
  const table = await loadRouteTable(config.GATEWAY_ROUTES, { mayBeMissing: routesMayBeMissing })
  const database = connectDatabase({ url: databaseUrl, setRole })
  stops.push(() => database.close())
  // Only so that operators can see since when: a database that is away does not keep a node from starting.
  await insertTokenKeys(
    database,
    keys.verifying.map(({ kid }) => ({ kid, algorithm: keys.algorithm })),
  ).catch((error: unknown) => logger.debug('the keys could not be noted', { error }))
  const node = await startNode({
    database,
    logger,
    clock: systemClock,
    directUrl: config.DATABASE_DIRECT_URL ?? databaseUrl,
    setRole,
    leaseMs: config.COHERENCE_LEASE_MS,
    maxEntries: config.COHERENCE_CACHE_ENTRIES,
    address,
    onWait: metrics.noteWait,
  })
  stops.push(() => node.stop())
  const directories = auditDirectories(config.DATA_DIR)
  const audit = startAuditLog({ sql: database, logger, spillDirectory: directories.spill })
  const sealer = startSealer({
    database,
    logger,
    audit,
    directory: directories.checkpoints,
    keys: checkpointKeys({ secret: config.SECRET_KEY, previousSecret: config.SECRET_KEY_PREVIOUS }),
  })
  stops.push(async () => {
    await audit.close()
    await sealer.close() // what has just been written is sealed, too
  })
  const tracing = await startTracing(config, logger)
  if (tracing) stops.push(() => tracing.stop())
  const usage = startUsage({
    write: (batch) => addUsage(database, batch),
    forget: (writerId) => forgetUsageWriter(database, writerId),
    logger,
  })
  stops.push(() => usage.close())
  const tokenUses = startTokenUses({ sql: database, logger })
  stops.push(() => tokenUses.close())
  const identityKeys = await openIdentityKeys({
    database,
    logger,
    secret: config.SECRET_KEY,
    previousSecret: config.SECRET_KEY_PREVIOUS,
  })
  stops.push(() => identityKeys.close())
  const retention = startRetention({ database, logger })
  stops.push(() => retention.close())
  const counts = openCounts({ redisUrl: config.REDIS_URL, logger })
  stops.push(() => counts.close())
  await loadClient()
  const routes = liveRoutes(table, { demoUrl, logger })
  stops.push(() => routes.close())
  stops.push(
    reloadRoutes({
      file: config.GATEWAY_ROUTES,
      mayBeMissing: routesMayBeMissing,
      routes,
      logger,
      watch: config.GATEWAY_ROUTES_WATCH ?? watchesRoutes,
    }),
  )
  metrics.watch({
    audit,
    usage,
    load,
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
    identityKeys,
    audit,
    log,
    logger,
    logRequest,
    routes,
    isDraining,
    metrics,
    tracing,
    usage,
    scrape,
    load,
    publicUrl: () => config.PUBLIC_URL ?? `http://${address()}`,
    directory: createDirectory({ sql: database, memory: node.memory }),
    passwords: createPasswords(),
    tokenUses,
    counts,
  })
  return { gateway, node }
}
