import { Pool } from 'undici'
import type { RouteFile } from './route-schema.js'

/** Requests at a time to one target. One more is refused at once: to wait in a line that may never move helps nobody. */
export const requestsPerTarget = 512

/** Opens the connections to one target, HTTP/1.1 each. None is made before a request needs it. */
export function openPool(url: string, { connectMs, headersMs, bodyMs, keepAliveMs }: RouteFile['upstreams'][string]['timeouts']): Pool {
  return new Pool(url, {
    connections: requestsPerTarget,
    connect: { timeout: connectMs },
    headersTimeout: headersMs,
    bodyTimeout: bodyMs,
    keepAliveTimeout: keepAliveMs,
    // Else a target could ask for longer.
    keepAliveMaxTimeout: keepAliveMs,
    maxHeaderSize: 32 * 1024,
    allowH2: false,
  })
}
