import { randomUUID } from 'node:crypto'
import type { Middleware } from './endpoint/chain.js'
import { clientAddress, lastOf } from './client-address.js'

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    /** What the first steps of a request leave on it for those that follow. */
    interface Request {
      /** The request id: the caller's where it is well-formed, else new. */
      id: string
      /** `performance.now()` when the request's head had been read. */
      startedAt: number
      /** The client's address, behind as many proxies as are trusted. */
      clientAddress: string
      /** The host that the client asked for, as it or the nearest trusted proxy wrote it. */
      requestedHost: string | undefined
      /** The path, normalised once: what is matched is what is sent. */
      pathname: string
      /** The query with its question mark, as received, or ''. */
      search: string
      /** The pattern of the endpoint or route that matched. */
      routePattern?: string
      /** The code of the refusal, for the access line. */
      refusal?: string
    }
  }
}

/** RFC 6797 §6.1, a year: browsers that were here by https never come by http. */
const byHttpsAlone = ['Strict-Transport-Security', 'max-age=31536000']

const wellFormed = /^[A-Za-z0-9._-]{1,128}$/

/**
 * Gives the request its id (a well-formed `X-Request-Id` is kept) and its client's address, and the response
 * the headers that every answer carries; with `isHttps` also that browsers come by https alone, which those
 * that come by http pass over. Everything logged later carries this id.
 */
export function identifyRequest({
  trustProxy,
  trustsForwardedHost = true,
  isDraining,
  isHttps,
}: {
  trustProxy: number
  trustsForwardedHost?: boolean
  isDraining: () => boolean
  isHttps: boolean
}): Middleware {
  return (req, res, next) => {
    const given = req.headers['x-request-id']
    req.startedAt = performance.now()
    req.id = typeof given === 'string' && wellFormed.test(given) ? given : randomUUID()
    req.clientAddress = clientAddress(req, trustProxy)
    req.requestedHost =
      (trustProxy > 0 && trustsForwardedHost ? lastOf(req.headers['x-forwarded-host']) : undefined) ??
      req.headers.host
    res.pendingHeaders = ['X-Request-Id', req.id, 'X-Content-Type-Options', 'nosniff']
    if (isHttps) res.pendingHeaders.push(...byHttpsAlone)
    // What was sent behind a refused upgrade has not been read as HTTP, and is not going to be.
    if (req.headers.upgrade !== undefined) res.shouldKeepAlive = false
    if (isDraining()) res.pendingHeaders.push('Connection', 'close')
    next()
  }
}
