import { z } from 'zod'
import type { Limit } from './rate-limit.js'
import { dayMs } from './time.js'

/** Accepts true, false, 1 or 0. */
export const flag = z
  .enum(['true', 'false', '1', '0'], 'must be true or false')
  .transform((value) => value === 'true' || value === '1')

/** Returns a schema for a whole number from `least` to `most`, both included. */
export const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be a whole number from ${least} to ${most}`)

/** Returns a schema for a URL with one of the protocols, each written with its colon. */
export const url = (protocols: string[]) =>
  z
    .string()
    .refine(
      (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol),
      `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    )

/** Accepts the URL of a Postgres database. */
export const postgresUrl = url(['postgres:', 'postgresql:'])

/** Accepts an origin (RFC 6454) without a wildcard. Removes a slash at its end. */
export const origin = url(['http:', 'https:'])
  .transform((value) => value.replace(/\/$/, ''))
  .refine(
    (value) => new URL(value).origin === value.toLowerCase() && !value.includes('*'),
    'must be an origin such as https://app.example.com, without a path',
  )

/** Accepts a rate limit such as `1200/60s`, or `off`. */
export const rateLimit = z
  .string()
  .regex(/^(off|\d{1,9}\/\d{1,6}s)$/, 'must be REQUESTS/SECONDSs, such as 1200/60s, or off')
  .transform((value): Limit | 'off' => {
    if (value === 'off') return value
    const [requests, seconds] = value.slice(0, -1).split('/').map(Number) as [number, number]
    return { requests, windowMs: seconds * 1000 }
  })
  .refine(
    (value) => value === 'off' || (value.requests > 0 && value.windowMs > 0 && value.windowMs <= dayMs),
    'must allow at least one request, in a window of 1 to 86400 seconds; or off',
  )

/** Accepts a secret of at least 32 bytes. */
export const secret = z
  .string()
  .refine(
    (value) => Buffer.byteLength(value) >= 32,
    'must be at least 32 bytes long; make one with: openssl rand -base64 48',
  )

/** Accepts one mail address, alone or as `Name <local@domain>` (RFC 5322). */
export const mailFrom = z
  .string()
  .regex(
    /^(?:[^<>@\p{Cc}]{1,100} <[^\s<>@"(),:;\\\p{Cc}]{1,64}@[\w.-]{1,255}>|[^\s<>@"(),:;\\\p{Cc}]{1,64}@[\w.-]{1,255})$/u,
    'must be an address such as gateway@example.com or Example <gateway@example.com>',
  )
