import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { metricsType, type Scrape } from './metrics.js'

/**
 * Serves `/metrics`, and nothing else, on a port of its own. Returns the port and a function that stops it.
 * Rejects when it cannot listen there.
 */
export async function serveMetrics(
  scrape: Scrape,
  { host, port }: { host: string; port: number },
): Promise<{ port: number; stop: () => Promise<void> }> {
  const server = createServer(
    { maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 10_000 },
    (req, res) => {
      const isWanted =
        (req.method === 'GET' || req.method === 'HEAD') && req.url?.split('?', 1)[0] === '/metrics'
      if (!isWanted) {
        res.writeHead(404, { 'Content-Type': 'text/plain' }).end('Only GET /metrics is served here.\n')
        return
      }
      scrape().then(
        (text) =>
          res
            .writeHead(200, { 'Content-Type': `${metricsType}; charset=utf-8`, 'Cache-Control': 'no-store' })
            .end(text),
        () =>
          res.writeHead(503, { 'Content-Type': 'text/plain' }).end('The metrics could not be gathered.\n'),
      )
    },
  )
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new Error(
      `METRICS_PORT: ${host}:${port} cannot be listened on: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
