import { createHash } from 'node:crypto'
import type { Request } from 'express'
import { ipKeyGenerator } from 'express-rate-limit'
import type { RateLimit } from '../config.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from './chain.js'
import type { CountOne, Counts } from './counts.js'

/** An IPv6 customer has a whole network, so one address of it is not one client. */
export const networkOf = (address: string) => address.includes(':') ? ipKeyGenerator(address, 64) : address

/** Limits requests by `keyOf`, and says so in the `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers-08). */
function limiter(name: string, limit: RateLimit, keyOf: (req: Request) => string, count: CountOne): Middleware {
  if (!limit) return (_req, _res, next) => next()
  const { windowMs, requests } = limit
  const policy = `"${name}";q=${requests};w=${windowMs / 1000}`
  return (req, res, next) => {
    const now = performance.now()
    const window = count(keyOf(req), now)
    const seconds = Math.ceil((window.endsAt - now) / 1000)
    const left = `"${name}";r=${Math.max(0, requests - window.count)};t=${seconds}`
    res.rateLimitPolicy = res.rateLimitPolicy === undefined ? policy : `${res.rateLimitPolicy}, ${policy}`
    res.rateLimit = res.rateLimit === undefined ? left : `${res.rateLimit}, ${left}`
    if (window.count <= requests) next()
    else next(new GatewayError('rate_limited', `Too many requests: ${requests} are allowed in ${windowMs / 1000} s. Try again later.`, { headers: { 'Retry-After': String(seconds) } }))
  }
}

/** Limits requests by the client's address. */
export function limitByAddress(limit: RateLimit, counts: Pick<Counts, 'each'>): Middleware {
  return limiter('address', limit, (req) => networkOf(req.clientAddress), counts.each('address', limit?.windowMs ?? 0))
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Names the caller of a request, where it is known. */
type CallerOf = (req: Request) => string | undefined

/** Mandates that one caller may be counted in apart; more than these share a counter. */
const mandatesOfOne = 50

/** Answers under which mandate a caller is counted: naming ever new ones must not be a way around the limit. */
function foldMandates(windowMs: number): (caller: string, mandate: string) => string {
  let named = new Map<string, Set<string>>()
  let clearsAt = 0
  return (caller, mandate) => {
    const now = performance.now()
    if (now >= clearsAt) {
      named = new Map<string, Set<string>>()
      clearsAt = now + windowMs
    }
    const known = named.get(caller) ?? new Set<string>()
    if (known.has(mandate)) return mandate
    if (known.size >= mandatesOfOne) return 'others'
    named.set(caller, known.add(mandate))
    return mandate
  }
}

/** Limits requests by caller and, where a mandate counts, by the one that the request names. */
export function limitByUser(limit: RateLimit, callerOf: CallerOf, counts: Pick<Counts, 'each'>): (countsMandate: boolean) => Middleware {
  const windowMs = limit?.windowMs ?? 0
  const count = counts.each('user', windowMs)
  const fold = foldMandates(windowMs)
  return (countsMandate) => limiter('user', limit, (req) => {
    const caller = callerOf(req) ?? networkOf(req.clientAddress)
    const mandate = countsMandate ? req.headers['x-mandate-id'] : undefined
    return typeof mandate === 'string' && uuid.test(mandate) ? `${caller} ${fold(caller, mandate.toLowerCase())}` : caller
  }, count)
}

/** By whom a route's limits count: the caller, the mandate that was entered, the client's address. Each falls back to the next that is known. */
export type CountedBy = 'user' | 'mandate' | 'address'

/** The keys by which a route counts. */
export function countingKeys({ callerOf, mandateOf }: { callerOf: CallerOf; mandateOf: CallerOf }): Record<CountedBy, (req: Request) => string> {
  const address = (req: Request) => networkOf(req.clientAddress)
  const user = (req: Request) => callerOf(req) ?? address(req)
  return { user, address, mandate: (req) => mandateOf(req) ?? user(req) }
}

/** A limit of a single route, counted by `keyOf`. */
export function limitRoute(prefix: string, limit: RateLimit, keyOf: (req: Request) => string, counts: Pick<Counts, 'each'>): Middleware {
  const name = `route-${createHash('sha256').update(prefix).digest('hex').slice(0, 12)}`
  return limiter(name, limit, keyOf, counts.each(name, limit?.windowMs ?? 0))
}
