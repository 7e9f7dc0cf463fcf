import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { daySeconds } from '../domain/time.js'
import { lowerCaseUuid } from '../domain/ids.js'
import type { Config } from '../config.js'

/** The contents of the cookie `portal_session`: the opened link, and when it was opened. */
export interface PortalSession {
  /** The id of the portal access token, in lower case. */
  linkId: string
  /** Seconds since 1970. */
  issuedAt: number
}

/** The sealing keys. The first one seals; all of them open. */
export type SealKeys = readonly [string, ...string[]]

/** Returns the keys in the configuration. */
export function sealKeysOf({
  SECRET_KEY,
  SECRET_KEY_PREVIOUS,
}: Pick<Config, 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS'>): SealKeys {
  if (SECRET_KEY === undefined) throw new Error('SECRET_KEY is not set')
  return SECRET_KEY_PREVIOUS === undefined ? [SECRET_KEY] : [SECRET_KEY, SECRET_KEY_PREVIOUS]
}

/** How long a session lasts, whatever the cookie's own age is. */
export const sessionSeconds = 30 * daySeconds

/** Clocks of nodes differ. */
const clockToleranceSeconds = 5
/** Longer than any session that was sealed here. */
const maxLength = 1024

const form = /^([A-Za-z0-9_-]+)\.([0-9a-f]{64})$/
const content = z.strictObject({
  tid: z.string().regex(lowerCaseUuid),
  iat: z.number().nonnegative(),
})

const macOf = (payload: string, key: string) => createHmac('sha256', key).update(payload)

/** Seals a session into a cookie's value: `base64url(JSON {tid, iat})`, a dot, and its HMAC-SHA256 in hex. */
export function sealSession({ linkId, issuedAt }: PortalSession, [key]: SealKeys): string {
  const payload = Buffer.from(JSON.stringify({ tid: linkId, iat: issuedAt })).toString('base64url')
  return `${payload}.${macOf(payload, key).digest('hex')}`
}

/** Returns whether one of the keys made the seal. All are tried, so that the time tells nothing. */
function isSealed(payload: string, seal: string, keys: SealKeys): boolean {
  const given = Buffer.from(seal, 'hex')
  return keys.map((key) => timingSafeEqual(macOf(payload, key).digest(), given)).includes(true)
}

function parseContent(payload: string): z.infer<typeof content> | undefined {
  const bytes = Buffer.from(payload, 'base64url')
  if (bytes.toString('base64url') !== payload) return undefined // another text with the same bytes
  try {
    return content.safeParse(JSON.parse(bytes.toString())).data
  } catch {
    return undefined // not JSON
  }
}

/**
 * Opens a sealed session with any of the keys. Returns undefined for everything else, for a session that is
 * too old, and for one of the future.
 */
export function openSession(cookie: string, keys: SealKeys, nowMs: number): PortalSession | undefined {
  const [, payload, seal] = cookie.length > maxLength ? [] : (form.exec(cookie) ?? [])
  if (payload === undefined || seal === undefined || !isSealed(payload, seal, keys)) return undefined
  const said = parseContent(payload)
  if (!said) return undefined
  const nowSeconds = nowMs / 1000
  if (said.iat > nowSeconds + clockToleranceSeconds || nowSeconds - said.iat >= sessionSeconds)
    return undefined
  return { linkId: said.tid, issuedAt: said.iat }
}
