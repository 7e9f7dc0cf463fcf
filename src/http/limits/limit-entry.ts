import { rateLimit, type RateLimitInfo, type Store } from 'express-rate-limit'
import type { Request } from 'express'
import type { RateLimit } from '../../domain/rate-limit.js'
import type { Middleware } from '../endpoint/chain.js'
import type { Counts, Tally } from './counts.js'
import { networkOf, tellLimit, tooManyRequests } from './limit-rate.js'

/** Public endpoints, in groups. Each group has its own limit by address. */
export type Entry =
  'first-access' | 'account-link' | 'invitation' | 'setup' | 'portal-entry' | 'sign-in' | 'discovery'

/** The shared counters in the form of express-rate-limit. All nodes count together before one responds. */
function storeOf(tally: Tally): Store {
  return {
    localKeys: false,
    increment: async (key) => {
      const { count, endsAt } = await tally.add(key, 1)
      return { totalHits: count, resetTime: new Date(Date.now() + endsAt - performance.now()) }
    },
    decrement: async (key) => {
      await tally.add(key, -1)
    },
    resetKey: (key) => tally.forget(key),
  }
}

/** Returns the counts that express-rate-limit leaves on a request. */
const infoOf = (req: Request & { rateLimit?: RateLimitInfo }) => req.rateLimit

const secondsUntil = (time: Date | undefined) =>
  Math.max(1, Math.ceil(((time?.getTime() ?? 0) - Date.now()) / 1000))

/**
 * Returns the limit of each group of endpoints that anybody may ask, counted by the client's address (IPv6:
 * its /64). A request too many is refused like every other one of the gateway: problem+json, or the page that
 * the endpoint shows, with `Retry-After`.
 */
export function limitEntries(
  limit: RateLimit,
  counts: Pick<Counts, 'tally'>,
): (entry: Entry) => Middleware[] {
  const known = new Map<Entry, Middleware[]>()
  return (entry) => {
    const limits = known.get(entry) ?? (limit ? [limitEntry(entry, limit, counts)] : [])
    known.set(entry, limits)
    return limits
  }
}

function limitEntry(
  entry: Entry,
  limit: Exclude<RateLimit, undefined>,
  counts: Pick<Counts, 'tally'>,
): Middleware {
  const { requests, windowMs } = limit
  const policy = `"${entry}";q=${requests};w=${windowMs / 1000}`
  const limited = rateLimit({
    windowMs,
    limit: requests,
    store: storeOf(counts.tally(`entry-${entry}`, windowMs)),
    keyGenerator: (req) => networkOf(req.state.clientAddress),
    // Headers and refusals are those of all other limits.
    legacyHeaders: false,
    standardHeaders: false,
    handler: (req, _res, next) => next(tooManyRequests(limit, secondsUntil(infoOf(req)?.resetTime))),
  })
  return (req, res, next) => {
    void limited(req, res, (refusal?: unknown) => {
      const { remaining = 0, resetTime } = infoOf(req) ?? {}
      tellLimit(res, policy, `"${entry}";r=${remaining};t=${secondsUntil(resetTime)}`)
      next(refusal)
    })
  }
}
