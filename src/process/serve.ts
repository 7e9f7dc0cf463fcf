import { once } from 'node:events'
import type { Server } from 'node:http'
import { assemble, type Prepared } from '../gateway/compose.js'
import type { Config } from '../config.js'
import { corsHeadersOf } from '../http/cors.js'
import { drainable } from '../http/drain.js'
import { watchLoad } from '../http/limits/load.js'
import { createGatewayServer } from '../http/server.js'
import type { Log } from '../observability/logger.js'
import type { Metrics, Scrape } from '../observability/metrics.js'
import type { Stop } from '../gateway/lifecycle.js'
import { isOnTerminal } from './stop-signals.js'

/** The host as a URL writes it. */
const hostOf = ({ HOST }: Config) => (HOST.includes(':') ? `[${HOST}]` : HOST)

async function listen(server: Server, { HOST, PORT }: Config): Promise<number> {
  server.listen(PORT, HOST)
  try {
    await once(server, 'listening')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE')
      throw new Error(`${HOST}:${PORT} is in use by another program. Stop it, or choose another PORT.`, {
        cause: error,
      })
    if (code === 'EACCES')
      throw new Error(
        `${HOST}:${PORT} may not be opened by this user: ports below 1024 are for root. Choose another PORT, such as 8080, and put a proxy in front.`,
        { cause: error },
      )
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new Error(`${HOST} is no address of this machine. Correct HOST; 0.0.0.0 means all of them.`, {
        cause: error,
      })
    throw error
  }
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : PORT
}

/**
 * Serves requests in this process. What it starts goes onto `stops`. Answers the gateway's public URL once it
 * listens.
 */
export async function serve(
  config: Config,
  log: Log,
  prepared: Prepared,
  stops: Stop[],
  { metrics, scrape }: { metrics: Metrics; scrape: Scrape },
): Promise<string> {
  let address = `${hostOf(config)}:${config.PORT}`
  let isDraining = () => false
  const load = watchLoad({
    maxConnections: config.MAX_CONNECTIONS,
    maxPerAddress: config.MAX_CONNECTIONS_ADDRESS,
    maxMemoryMb: config.MAX_MEMORY_MB,
  })
  stops.push(() => {
    load.stop()
    return Promise.resolve()
  })
  const { gateway, node } = await assemble(config, log, prepared, stops, {
    address: () => address,
    isDraining: () => isDraining(),
    metrics,
    scrape,
    load,
    watchesRoutes: isOnTerminal(),
  })
  const server = createGatewayServer(gateway.listener, { corsHeaders: corsHeadersOf(config.CORS_ORIGINS) })
  load.watch(server)
  const drain = drainable(server)
  isDraining = drain.isDraining
  address = `${hostOf(config)}:${await listen(server, config)}`
  stops.push(() => {
    node.streams.drain()
    return drain.drain()
  })
  const url = config.PUBLIC_URL ?? `http://${address}`
  log.logger.info('listening', { url, address })
  return url
}
