import { randomUUID } from 'node:crypto'
import type { Request } from 'express'
import { withoutPrefixes } from '../http/cookies.js'
import { clientAddress, lastOf } from '../http/client-address.js'
import type { Middleware } from '../http/endpoint/chain.js'
import { takeUpgradeOf } from '../http/upgrade.js'
import { RequestState } from './request-state.js'

/** RFC 6797 §6.1, a year: browsers that were here by https never come by http. */
const byHttpsAlone = ['Strict-Transport-Security', 'max-age=31536000']

const wellFormed = /^[A-Za-z0-9._-]{1,128}$/

interface Options {
  trustProxy: number
  trustsForwardedHost?: boolean
  isDraining: () => boolean
  isHttps: boolean
  /** True with `COOKIE_PREFIX=host`. */
  prefixesCookies?: boolean
}

/** Reads who asks, and for which host, from a request's head. */
function arrive(
  req: Request,
  { trustProxy, trustsForwardedHost = true, prefixesCookies }: Options,
): RequestState {
  const given = req.headers['x-request-id']
  const forwardedHost =
    trustProxy > 0 && trustsForwardedHost ? lastOf(req.headers['x-forwarded-host']) : undefined
  return new RequestState({
    startedAt: performance.now(),
    id: typeof given === 'string' && wellFormed.test(given) ? given : randomUUID(),
    clientAddress: clientAddress(req, trustProxy),
    requestedHost: forwardedHost ?? req.headers.host,
    cookieHeader: prefixesCookies === true ? withoutPrefixes(req.headers.cookie) : req.headers.cookie,
    takeUpgrade: takeUpgradeOf(req),
  })
}

/**
 * Creates the state of each request, with its id (a well-formed `X-Request-Id` is kept) and its client's
 * address. Gives the response the headers that every answer carries. With `isHttps` one of them tells browsers
 * to come by https alone; browsers ignore it when they come by http. Everything logged later carries this id.
 */
export function identifyRequest(options: Options): Middleware {
  const { isDraining, isHttps } = options
  return (req, res, next) => {
    req.state = arrive(req, options)
    res.pendingHeaders = ['X-Request-Id', req.state.id, 'X-Content-Type-Options', 'nosniff']
    if (isHttps) res.pendingHeaders.push(...byHttpsAlone)
    // What was sent behind a refused upgrade has not been read as HTTP, and is not going to be.
    if (req.headers.upgrade !== undefined) res.shouldKeepAlive = false
    if (isDraining()) res.pendingHeaders.push('Connection', 'close')
    next()
  }
}
