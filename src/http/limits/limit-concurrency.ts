import type { Request } from 'express'
import { GatewayError } from '../../errors.js'
import type { Middleware } from '../endpoint/chain.js'

/** A count of open requests. */
export interface Running {
  limit: number
  /**
   * The key by which requests are counted; undefined for a request without this limit. By default all are
   * counted together.
   */
  keyOf?: (req: Request) => string | undefined
}

/**
 * Limits the open requests of one key, from here to the end of their responses. If all count together, one
 * too many means that the service is busy (503); with a key, that its caller is (429).
 */
export function limitConcurrency({ limit, keyOf }: Running): Middleware {
  const running = new Map<string, number>()
  return (req, res, next) => {
    if (res.closed || res.destroyed) return // the client is gone, and its end has been reported
    const key = keyOf ? keyOf(req) : ''
    if (key === undefined) {
      next()
      return
    }
    const count = running.get(key) ?? 0
    if (count >= limit) {
      next(
        keyOf
          ? new GatewayError(
              'rate_limited',
              `Only ${limit} requests may be under way at a time. Try again when one has ended.`,
              { headers: { 'Retry-After': '1' } },
            )
          : new GatewayError(
              'overloaded',
              'The service behind the gateway has as many requests as it may. Try again shortly.',
            ),
      )
      return
    }
    running.set(key, count + 1)
    res.once('close', () => {
      const left = (running.get(key) ?? 1) - 1
      if (left > 0) running.set(key, left)
      else running.delete(key)
    })
    next()
  }
}
