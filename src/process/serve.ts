import { once } from 'node:events'
import type { Server } from 'node:http'
import { compose, type Surroundings } from '../gateway/compose.js'
import type { Config } from '../config.js'
import { drainable } from '../http/drain.js'
import { isOnTerminal } from './stop-signals.js'

/** Returns the host in the form of a URL: an IPv6 address in brackets. */
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
        `${HOST}:${PORT} may not be opened by this user: ports below 1024 are for root. ` +
          'Choose another PORT, such as 8080, and put a proxy in front.',
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
 * Serves requests in this process. Resolves to the gateway's public URL when it listens. When it stops, open
 * requests are finished first.
 */
export async function serve(
  config: Config,
  surroundings: Pick<Surroundings, 'log' | 'prepared' | 'lifecycle' | 'metrics' | 'scrape'>,
): Promise<string> {
  let address = `${hostOf(config)}:${config.PORT}`
  let isDraining = () => false
  const { node, createServer } = await compose(config, {
    ...surroundings,
    address: () => address,
    isDraining: () => isDraining(),
    watchesRoutes: isOnTerminal(),
  })
  const server = createServer()
  const drain = drainable(server)
  isDraining = drain.isDraining
  address = `${hostOf(config)}:${await listen(server, config)}`
  surroundings.lifecycle.onStop('server', () => {
    node.streams.drain()
    return drain.drain()
  })
  const url = config.PUBLIC_URL ?? `http://${address}`
  surroundings.log.logger.info('listening', { url, address })
  return url
}
