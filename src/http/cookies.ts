import type { IncomingMessage } from 'node:http'
import type { CookieOptions } from 'express'
import type { Config } from '../config.js'

/** The names of the cookies that this gateway sets. They never reach an upstream. */
export const gatewayCookies = ['auth_token', 'refresh_token', 'portal_session'] as const
export type GatewayCookie = (typeof gatewayCookies)[number]

/** Every value of the cookie `name` in a `Cookie` header, in order: repeated ones are all there, nothing is decoded. */
export function cookieValues(header: string | undefined, name: string): string[] {
  if (!header?.includes(name)) return []
  const values: string[] = []
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) values.push(pair.slice(equals + 1).trim())
  }
  return values
}

/** The value of one of our cookies; an empty one counts as absent. */
export function cookieValue(req: IncomingMessage, name: GatewayCookie): string | undefined {
  return cookieValues(req.headers.cookie, name).find((value) => value !== '')
}

/** True when the request carries any cookie of this gateway. */
export function carriesGatewayCookie(req: IncomingMessage): boolean {
  const header = req.headers.cookie
  return header !== undefined && gatewayCookies.some((name) => cookieValues(header, name).length > 0)
}

type CookieConfig = Pick<Config, 'COOKIE_SAMESITE' | 'COOKIE_SECURE'>

/** Attributes of the access-token cookie. Without `maxAgeSeconds`: those that clear it. */
export function accessCookie(config: CookieConfig, maxAgeSeconds?: number): CookieOptions {
  return {
    httpOnly: true,
    path: '/',
    sameSite: config.COOKIE_SAMESITE,
    secure: config.COOKIE_SECURE,
    ...(maxAgeSeconds === undefined ? {} : { maxAge: maxAgeSeconds * 1000 }),
  }
}

/** Attributes of the refresh-token cookie, which only `/auth` ever sees. Without `maxAgeSeconds`: those that clear it. */
export function refreshCookie(config: CookieConfig, maxAgeSeconds?: number): CookieOptions {
  return { ...accessCookie(config, maxAgeSeconds), path: '/auth', sameSite: 'strict' }
}
