import { once } from 'node:events'
import type { Server } from 'node:http'
import { startAuditLog } from './audit/audit-log.js'
import { loadTokenKeys } from './authentication/token-keys.js'
import { createDirectory } from './coherence/directory.js'
import { startNode, systemClock } from './coherence/node.js'
import { ConfigError, loadConfig, type Config } from './config.js'
import { connectDatabase } from './database/connect.js'
import { startEmbeddedPostgres } from './database/embedded/postgres.js'
import { withMigrator } from './database/migrate.js'
import { demoGreeting } from './demo-greeting.js'
import { withDevelopmentSecrets } from './development-secrets.js'
import { buildGateway } from './gateway.js'
import { drainable } from './http/drain.js'
import { createGatewayServer } from './http/server.js'
import { createPasswords } from './login/password.js'
import { bufferedOutput, type Output } from './observability/buffered-output.js'
import { createLog, type Log, type Logger } from './observability/logger.js'
import { startDemoUpstream } from './proxy/demo-upstream.js'
import { liveRoutes, type LiveRoutes } from './proxy/forward-by-table.js'
import { RouteTableError, loadRouteTable } from './proxy/route-table.js'

/** EX_CONFIG of sysexits: starting again will not help until somebody mends the configuration. */
const exitConfig = 78

/** What has been started, to be stopped in the opposite order. */
type Stop = () => Promise<void>

async function openDatabase(config: Config, logger: Logger, stops: Stop[]) {
  if (config.DATABASE_URL) {
    return { ownerUrl: config.DATABASE_MIGRATION_URL ?? config.DATABASE_URL, url: config.DATABASE_URL, setRole: !config.DATABASE_MIGRATION_URL }
  }
  const postgres = await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log: (message) => logger.info(message) })
  stops.push(() => postgres.stop())
  return { ownerUrl: postgres.ownerUrl, url: postgres.url, setRole: false }
}

/** The host as a URL writes it. */
const hostOf = ({ HOST }: Config) => HOST.includes(':') ? `[${HOST}]` : HOST

async function listen(server: Server, { HOST, PORT }: Config): Promise<number> {
  server.listen(PORT, HOST)
  try {
    await once(server, 'listening')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE') throw new Error(`${HOST}:${PORT} is in use by another program. Stop it, or choose another PORT.`, { cause: error })
    throw error
  }
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : PORT
}

function reloadOnHangup(file: string, routes: LiveRoutes, logger: Logger): void {
  process.on('SIGHUP', () => {
    loadRouteTable(file).then(
      (table) => {
        routes.replace(table)
        logger.info('the route table was read anew', { file, routes: table.routes.length })
      },
      (error: unknown) => logger.error('the route table was not changed: the old one stays in force', { faults: error instanceof RouteTableError ? error.faults : String(error) }),
    )
  })
}

async function start(config: Config, { logger, logRequest }: Log, output: Output, stops: Stop[]): Promise<void> {
  const keys = await loadTokenKeys(config)
  const table = await loadRouteTable(config.GATEWAY_ROUTES)
  const { ownerUrl, url, setRole } = await openDatabase(config, logger, stops)
  const passwords = createPasswords()
  await withMigrator(ownerUrl, async (migrator) => {
    for (const name of await migrator.up()) logger.info('migrated', { name })
    if (config.SEED_DEMO) await migrator.seedDemo(passwords.hash)
  })
  const database = connectDatabase({ url, setRole })
  stops.push(() => database.close())
  const node = await startNode({
    database, logger, clock: systemClock, directUrl: config.DATABASE_DIRECT_URL ?? url, setRole,
    leaseMs: config.COHERENCE_LEASE_MS, maxEntries: config.COHERENCE_CACHE_ENTRIES, address: `${hostOf(config)}:${config.PORT}`,
  })
  stops.push(() => node.stop())
  const audit = startAuditLog({ sql: database, logger })
  stops.push(() => audit.close())

  const demo = config.SEED_DEMO ? await startDemoUpstream() : undefined
  if (demo) stops.push(() => demo.stop())
  const routes = liveRoutes(table, demo?.url)
  stops.push(() => routes.close())
  reloadOnHangup(config.GATEWAY_ROUTES, routes, logger)

  let address = `${hostOf(config)}:${config.PORT}`
  const publicUrl = () => config.PUBLIC_URL ?? `http://${address}`
  let isDraining = () => false
  const gateway = buildGateway({
    config, publicUrl, database, directory: createDirectory({ sql: database, memory: node.memory }), coherent: node.coherent, nodeId: node.lease.nodeId, keys, passwords, audit, logger, logRequest, routes, isDraining: () => isDraining(),
  })
  const server = createGatewayServer(gateway)
  const drain = drainable(server)
  isDraining = drain.isDraining
  address = `${hostOf(config)}:${await listen(server, config)}`
  stops.push(() => drain.drain())

  logger.info('listening', { url: publicUrl(), address })
  if (config.SEED_DEMO) output.write(demoGreeting(publicUrl()))
}

async function stopAll(stops: Stop[], logger: Logger): Promise<void> {
  for (const stop of stops.reverse()) {
    await stop().catch((error: unknown) => logger.error('something did not stop as it should', { error }))
  }
}

/** Why the process cannot start, in words for whoever started it. */
function explain(error: unknown): string {
  // knex puts the statement, with its values, before the database's own words
  return error instanceof Error ? error.message.split(' - ').at(-1) ?? '' : String(error)
}

async function main(): Promise<number> {
  const stopRequested = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  const stops: Stop[] = []
  const output = bufferedOutput(1)
  let logger: Logger | undefined
  try {
    const { config, generated } = await withDevelopmentSecrets(loadConfig())
    const log = createLog(config, output)
    logger = log.logger
    if (generated.length > 0) logger.warn('secrets were generated into DATA_DIR: good for development only', { generated })
    await start(config, log, output, stops)
    await stopRequested
    logger.info('draining')
    process.once('SIGINT', () => process.exit(130)) // a second Ctrl-C does not wait
    await stopAll(stops, logger)
    logger.info('stopped')
    return 0
  } catch (error) {
    if (logger) await stopAll(stops, logger)
    process.stderr.write(`mandate-gateway cannot start. ${explain(error)}\n`)
    return error instanceof ConfigError || error instanceof RouteTableError ? exitConfig : 1
  }
}

process.exitCode = await main()
// Whatever is still open (a stream of standard output, a timer) has nothing left to say.
setTimeout(() => process.exit(), 1000).unref()
