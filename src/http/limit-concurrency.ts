import type { Request } from 'express'
import { GatewayError } from '../errors.js'
import type { Middleware } from './chain.js'

/**
 * Limits how many requests of one key are under way at a time, from here to the end of their answers. Without a key all are counted
 * together, and one too many says that the service is busy (503); with one, that its caller is (429).
 */
export function limitConcurrency(limit: number, keyOf: ((req: Request) => string) | undefined): Middleware {
  const running = new Map<string, number>()
  return (req, res, next) => {
    if (res.closed || res.destroyed) return // nobody waits any more, and its end has been told
    const key = keyOf?.(req) ?? ''
    const count = running.get(key) ?? 0
    if (count >= limit) {
      next(keyOf
        ? new GatewayError('rate_limited', `Only ${limit} requests may be under way at a time. Try again when one has ended.`, { headers: { 'Retry-After': '1' } })
        : new GatewayError('overloaded', 'The service behind the gateway has as many requests as it may. Try again shortly.'))
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
