import type { IncomingMessage } from 'node:http'
import type { Middleware } from './endpoint/chain.js'

/** Silence after which a body that is still to come is given up. */
const idleMs = 30_000
/**
 * What is left of a body that nobody wants any more is read up to here, so that its sender gets to read the
 * answer.
 */
const maxDiscardedBytes = 16 * 1024 * 1024
const maxDiscardMs = 5000

/** Whether a request announces a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

function discardRest(req: IncomingMessage): void {
  let bytes = 0
  const limit = setTimeout(() => req.socket.destroy(), maxDiscardMs)
  limit.unref()
  req.unpipe()
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > maxDiscardedBytes) req.socket.destroy()
  })
  const stop = () => clearTimeout(limit)
  req.on('end', stop)
  req.on('close', stop)
  req.resume()
}

/**
 * Watches over requests with a body: one that stops coming is given up, and one that was answered before its
 * end is read on, a while.
 */
export const watchBody: Middleware = (req, res, next) => {
  if (hasBody(req)) {
    req.socket.setTimeout(idleMs) // Node cuts a connection that times out
    // else the keep-alive timeout runs
    req.on('end', () => {
      if (!res.writableEnded) req.socket.setTimeout(0)
    })
    res.on('finish', () => {
      if (!req.complete) discardRest(req)
    })
  }
  next()
}
