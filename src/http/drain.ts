import { Server as NetServer } from 'node:net'
import type { Server } from 'node:http'

/** Ends a server without losing an accepted request. */
export interface Drain {
  isDraining: () => boolean
  /** Accepts no new connections and lets every request end. Resolves when the last connection is closed. */
  drain: () => Promise<void>
}

/** How long a kept-alive client may go on using its connection. Its next response tells it to close. */
const idleGraceMs = 500
/** How long requests may take to end. Then they are cut. */
const longestMs = 25_000

/** Prepares the orderly end of a server. */
export function drainable(server: Server): Drain {
  let draining = false
  return {
    isDraining: () => draining,
    drain: () =>
      new Promise((resolve) => {
        draining = true
        // Not the HTTP server's own `close`, which would cut kept-alive connections at once, and requests on
        // their way with them.
        setImmediate(() =>
          NetServer.prototype.close.call(server, () => {
            clearInterval(sweep)
            clearTimeout(limit)
            resolve()
          }),
        )
        const since = performance.now()
        const sweep = setInterval(() => {
          if (performance.now() - since >= idleGraceMs) server.closeIdleConnections()
        }, 50)
        const limit = setTimeout(() => server.closeAllConnections(), longestMs)
      }),
  }
}
