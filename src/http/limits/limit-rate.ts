import { createHash } from 'node:crypto'
import type { Request, Response } from 'express'
import { ipKeyGenerator } from 'express-rate-limit'
import { LRUCache } from 'lru-cache'
import { isUuid } from '../../domain/ids.js'
import { customersOfWideNetwork, widerLimit, type RateLimit } from '../../domain/rate-limit.js'
import { GatewayError } from '../../errors.js'
import type { Middleware } from '../endpoint/chain.js'
import type { CountOne, Counts } from './counts.js'
import { limitConcurrency } from './limit-concurrency.js'

interface Networks {
  network: string
  wide: string
}

/**
 * The networks of IPv6 addresses that were seen lately: to read one takes 16 µs, to look it up less than one.
 */
const knownNetworks = new LRUCache<string, Networks>({ max: 10_000 })

function networksOf(address: string): Networks {
  if (!address.includes(':')) return { network: address, wide: address }
  const known = knownNetworks.get(address) ?? {
    network: ipKeyGenerator(address, 64),
    wide: ipKeyGenerator(address, 48),
  }
  knownNetworks.set(address, known)
  return known
}

/**
 * Returns what an address is counted by: an IPv6 customer has a whole /64, so one address of it is not one
 * client.
 */
export const networkOf = (address: string) => networksOf(address).network

/**
 * Returns the largest network that a provider gives one customer (RFC 6177): a customer with a /48 has 65,536
 * networks of /64.
 */
export const wideNetworkOf = (address: string) => networksOf(address).wide

/** One limit and its counter. `keyOf` returns undefined for a request that the limit does not concern. */
interface Counted {
  name: string
  limit: RateLimit
  keyOf: (req: Request) => string | undefined
  count: CountOne
}

/**
 * Limits requests, and says so in the `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers-08). A
 * request that one limit refuses does not count for the next one.
 */
function limiter({ name, limit, keyOf, count }: Counted): Middleware {
  if (!limit) return (_req, _res, next) => next()
  const { windowMs, requests } = limit
  const policy = `"${name}";q=${requests};w=${windowMs / 1000}`
  return (req, res, next) => {
    const key = keyOf(req)
    if (key === undefined) {
      next()
      return
    }
    const now = performance.now()
    const window = count(key, now)
    const seconds = Math.ceil((window.endsAt - now) / 1000)
    tellLimit(res, policy, `"${name}";r=${Math.max(0, requests - window.count)};t=${seconds}`)
    if (window.count <= requests) next()
    else next(tooManyRequests(limit, seconds))
  }
}

/** Adds a limit to the `RateLimit` headers of an answer. */
export function tellLimit(res: Response, policy: string, left: string): void {
  res.rateLimitPolicy = res.rateLimitPolicy === undefined ? policy : `${res.rateLimitPolicy}, ${policy}`
  res.rateLimit = res.rateLimit === undefined ? left : `${res.rateLimit}, ${left}`
}

/** Returns the refusal of one request too many, which says after how many seconds the window ends. */
export function tooManyRequests(
  { requests, windowMs }: Exclude<RateLimit, undefined>,
  seconds: number,
): GatewayError {
  return new GatewayError(
    'rate_limited',
    `Too many requests: ${requests} are allowed in ${windowMs / 1000} s. Try again later.`,
    { headers: { 'Retry-After': String(seconds) } },
  )
}

/** The /48 of an IPv6 client; undefined for IPv4, where there is nothing wider to count by. */
const wideKeyOf = ({ state: { clientAddress } }: Request) =>
  clientAddress.includes(':') ? wideNetworkOf(clientAddress) : undefined

/** Returns the limit by the client's address, and the one by the /48 that an IPv6 client is in. */
export function limitByAddress(
  limit: RateLimit,
  wideLimit: RateLimit,
  counts: Pick<Counts, 'each'>,
): Middleware[] {
  return [
    limiter({
      name: 'address',
      limit,
      keyOf: (req) => networkOf(req.state.clientAddress),
      count: counts.each('address', limit?.windowMs ?? 0),
    }),
    limiter({
      name: 'network',
      limit: wideLimit,
      keyOf: wideKeyOf,
      count: counts.each('network', wideLimit?.windowMs ?? 0),
    }),
  ]
}

/** Names the caller of a request, where it is known. */
type CallerOf = (req: Request) => string | undefined

/** Mandates that one caller is counted in apart; requests in more than these share a window. */
const mandatesOfOne = 50
const mostCallers = 100_000

/** Remembers, for one window, which mandates callers have entered. */
function rememberEntered(windowMs: number) {
  const entered = new LRUCache<string, Set<string>>({ max: mostCallers })
  let clearsAt = 0
  return {
    has: (caller: string, mandate: string, now: number) => {
      if (now >= clearsAt) {
        entered.clear()
        clearsAt = now + windowMs
      }
      return entered.get(caller)?.has(mandate) === true
    },
    /** Returns false where the caller has entered too many. */
    add: (caller: string, mandate: string) => {
      const known = entered.get(caller) ?? new Set<string>()
      if (known.size >= mandatesOfOne) return false
      entered.set(caller, known.add(mandate))
      return true
    },
  }
}

interface UserLimit {
  /** Counts a request before its context is known. */
  count: (countsMandate: boolean) => Middleware
  /** Behind the context: the mandate that was named is one that the caller may enter. */
  entered: Middleware
}

/**
 * Limits requests by caller and mandate. Mandates that the caller only names, and has not entered, share one
 * window: each of them would be another limit otherwise. What was counted there is moved to the mandate's own
 * window when the caller has entered it.
 */
export function limitByUser(limit: RateLimit, callerOf: CallerOf, counts: Pick<Counts, 'each'>): UserLimit {
  const windowMs = limit?.windowMs ?? 0
  const add = counts.each('user', windowMs)
  const entered = rememberEntered(windowMs)
  const nameOf = (req: Request) => callerOf(req) ?? networkOf(req.state.clientAddress)
  const unknownOf = (caller: string) => `${caller} others`
  return {
    count: (countsMandate) =>
      limiter({
        name: 'user',
        limit,
        count: add,
        keyOf: (req) => {
          const caller = nameOf(req)
          const named = countsMandate ? req.headers['x-mandate-id'] : undefined
          if (typeof named !== 'string' || !isUuid(named)) return caller
          const mandate = named.toLowerCase()
          if (entered.has(caller, mandate, performance.now())) return `${caller} ${mandate}`
          req.state.unknownMandate = mandate
          return unknownOf(caller)
        },
      }),
    entered: (req, _res, next) => {
      const { unknownMandate: mandate } = req.state
      if (limit && mandate !== undefined && req.state.context?.mandateId === mandate) {
        const [caller, now] = [nameOf(req), performance.now()]
        if (entered.add(caller, mandate)) {
          add(`${caller} ${mandate}`, now)
          add(unknownOf(caller), now, -1)
        }
      }
      next()
    },
  }
}

/**
 * By whom a route's limits count: the caller, the mandate that was entered, the client's address. Each falls
 * back to the next that is known.
 */
export type CountedBy = 'user' | 'mandate' | 'address'

/** The keys by which a route counts. */
export function countingKeys({
  callerOf,
  mandateOf,
}: {
  callerOf: CallerOf
  mandateOf: CallerOf
}): Record<CountedBy, (req: Request) => string> {
  const address = (req: Request) => networkOf(req.state.clientAddress)
  const user = (req: Request) => callerOf(req) ?? address(req)
  return { user, address, mandate: (req) => mandateOf(req) ?? user(req) }
}

/**
 * Returns the wider key of requests that `keyOf` counts by an IPv6 client's network: its /48; undefined for
 * all others.
 */
const widelyBy =
  (keyOf: (req: Request) => string) =>
  (req: Request): string | undefined =>
    wideKeyOf(req) !== undefined && keyOf(req) === networkOf(req.state.clientAddress)
      ? wideKeyOf(req)
      : undefined

/**
 * Returns the limit of requests under way of a single route, counted by `keyOf`; where that is an IPv6
 * client's network, also the one by its /48.
 */
export function limitRouteConcurrency(limit: number, keyOf: (req: Request) => string): Middleware[] {
  return [
    limitConcurrency({ limit, keyOf }),
    limitConcurrency({ limit: customersOfWideNetwork * limit, keyOf: widelyBy(keyOf) }),
  ]
}

/**
 * Returns the limit of a single route, counted by `keyOf`; where that is an IPv6 client's network, also the
 * one by its /48.
 */
export function limitRoute(
  prefix: string,
  limit: RateLimit,
  keyOf: (req: Request) => string,
  counts: Pick<Counts, 'each'>,
): Middleware[] {
  const name = `route-${createHash('sha256').update(prefix).digest('hex').slice(0, 12)}`
  const wideLimit = widerLimit(limit)
  return [
    limiter({ name, limit, keyOf, count: counts.each(name, limit?.windowMs ?? 0) }),
    limiter({
      name: `${name}-network`,
      limit: wideLimit,
      count: counts.each(`${name}-network`, wideLimit?.windowMs ?? 0),
      keyOf: widelyBy(keyOf),
    }),
  ]
}
