/** At most `requests` in each window of `windowMs` milliseconds. */
export interface Limit {
  requests: number
  windowMs: number
}

/** A rate limit; undefined means none. */
export type RateLimit = Limit | undefined

/** Returns the limit that a variable sets. */
export const limitOf = (value: Limit | 'off'): RateLimit => (value === 'off' ? undefined : value)

/** Returns the limit of each group of public endpoints: a quarter of the limit of an address. */
export const entryLimit = (limit: RateLimit): RateLimit =>
  limit && { ...limit, requests: Math.ceil(limit.requests / 4) }

/**
 * How many times the limit of an IPv6 /64 its /48 has. A provider may give each /64 of a /48 to another
 * customer.
 */
export const customersOfWideNetwork = 20

/** Returns the limit of a /48 that goes with the limit of a /64. */
export const widerLimit = (limit: RateLimit): RateLimit =>
  limit && { ...limit, requests: customersOfWideNetwork * limit.requests }
