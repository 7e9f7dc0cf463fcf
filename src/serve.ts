import { once } from 'node:events'
import type { Server } from 'node:http'
import { startAuditLog } from './audit/audit-log.js'
import { loadTokenKeys } from './authentication/token-keys.js'
import { createDirectory } from './coherence/directory.js'
import { startNode, systemClock } from './coherence/node.js'
import { ConfigError, type Config } from './config.js'
import { connectDatabase } from './database/connect.js'
import { buildGateway } from './gateway.js'
import { drainable } from './http/drain.js'
import { createGatewayServer } from './http/server.js'
import { createPasswords } from './login/password.js'
import type { Log, Logger } from './observability/logger.js'
import type { Prepared, Stop } from './prepare.js'
import { openIdentityKeys } from './proxy/identity-keys.js'
import { liveRoutes, type LiveRoutes } from './proxy/live-routes.js'
import { RouteTableError, loadRouteTable } from './proxy/route-table.js'

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

/** Serves requests in this process. What it starts goes onto `stops`. Answers the gateway's public URL once it listens. */
export async function serve(config: Config, { logger, logRequest }: Log, { databaseUrl, setRole, demoUrl }: Prepared, stops: Stop[]): Promise<string> {
  const keys = await loadTokenKeys(config)
  const table = await loadRouteTable(config.GATEWAY_ROUTES)
  const database = connectDatabase({ url: databaseUrl, setRole })
  stops.push(() => database.close())
  let address = `${hostOf(config)}:${config.PORT}`
  const node = await startNode({
    database, logger, clock: systemClock, directUrl: config.DATABASE_DIRECT_URL ?? databaseUrl, setRole,
    leaseMs: config.COHERENCE_LEASE_MS, maxEntries: config.COHERENCE_CACHE_ENTRIES, address: () => address,
  })
  stops.push(() => node.stop())
  const audit = startAuditLog({ sql: database, logger })
  stops.push(() => audit.close())
  if (config.SECRET_KEY === undefined) throw new ConfigError(['SECRET_KEY: must be set'])
  const identityKeys = await openIdentityKeys({ database, logger, secret: config.SECRET_KEY, previousSecret: config.SECRET_KEY_PREVIOUS })
  stops.push(() => identityKeys.close())
  const routes = liveRoutes(table, { demoUrl, logger })
  stops.push(() => routes.close())
  reloadOnHangup(config.GATEWAY_ROUTES, routes, logger)

  const publicUrl = () => config.PUBLIC_URL ?? `http://${address}`
  let isDraining = () => false
  const server = createGatewayServer(buildGateway({
    config, publicUrl, database, node, keys, audit, logger, logRequest, routes, identityKeys,
    directory: createDirectory({ sql: database, memory: node.memory }),
    passwords: createPasswords(),
    isDraining: () => isDraining(),
  }))
  const drain = drainable(server)
  isDraining = drain.isDraining
  address = `${hostOf(config)}:${await listen(server, config)}`
  stops.push(() => {
    node.streams.drain()
    return drain.drain()
  })
  logger.info('listening', { url: publicUrl(), address })
  return publicUrl()
}
