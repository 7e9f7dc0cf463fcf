import { Server as NetServer } from 'node:net'
import type { Server } from 'node:http'

/** Ends a server without losing a request that it has accepted. */
export interface Drain {
  isDraining: () => boolean
  /** Takes no new connections, lets every request end, and answers when the last connection is closed. */
  drain: () => Promise<void>
}

/** How long a kept-alive client may go on using its connection: its next answer tells it to close. */
const idleGraceMs = 500
/** How long requests may take to end; then they are cut. */
const longestMs = 25_000

/** Makes the end of a server orderly. */
export function drainable(server: Server): Drain {
  let draining = false
  return {
    isDraining: () => draining,
    drain: () =>
      new Promise((resolve) => {
        draining = true
        // Not the HTTP server's own `close`: that would cut kept-alive connections at once, and with them
        // requests on their way.
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
