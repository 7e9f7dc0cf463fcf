import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Response } from 'express'
import type { Config } from '../config.js'

/**
 * The names of the cookies that this gateway sets. They reach an upstream only by a route with `credentials:
 * pass`.
 */
export const gatewayCookies = ['auth_token', 'refresh_token', 'portal_session', 'sign_in_flow'] as const
export type GatewayCookie = (typeof gatewayCookies)[number]

/**
 * Those that not even a route with `credentials: pass` lets through: they were never of another program's
 * login.
 */
export const neverPassedCookies = ['portal_session', 'sign_in_flow'] as const

/**
 * Every value of the cookie `name` in a `Cookie` header, in order: repeated ones are all there, nothing is
 * decoded; blanks around name and value do not count.
 */
export function cookieValues(header: string | undefined, name: string): string[] {
  const values: string[] = []
  if (header?.includes(name) !== true) return values
  for (const pair of header.split(';')) {
    // pair by pair, so that a long header takes no longer than it is
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) values.push(pair.slice(equals + 1).trim())
  }
  return values
}

/**
 * Returns the value of one of our cookies; an empty one counts as absent. cookie-parser has read it where
 * Express's router serves.
 */
export function cookieValue(
  req: IncomingMessage & { parsedCookies?: Record<string, string> },
  name: GatewayCookie,
): string | undefined {
  const parsed = req.parsedCookies?.[name]
  if (parsed) return parsed
  return cookieValues(req.headers.cookie, name).find((value) => value !== '')
}

/** True when the request carries any cookie of this gateway. */
export function carriesGatewayCookie(req: IncomingMessage): boolean {
  const header = req.headers.cookie
  return header !== undefined && gatewayCookies.some((name) => cookieValues(header, name).length > 0)
}

type CookieConfig = Pick<Config, 'COOKIE_SAMESITE' | 'COOKIE_SECURE'>

/** The attributes of a cookie (RFC 6265 §4.1). */
interface CookieAttributes {
  path: string
  sameSite: 'lax' | 'strict' | 'none'
  secure: boolean
  /** 0 clears the cookie. */
  maxAgeSeconds: number
}

/** Attributes of the access-token cookie. */
export function accessCookie(config: CookieConfig, maxAgeSeconds: number): CookieAttributes {
  return { path: '/', sameSite: config.COOKIE_SAMESITE, secure: config.COOKIE_SECURE, maxAgeSeconds }
}

/** Attributes of the refresh-token cookie, which only `/auth` ever sees. */
export function refreshCookie(config: CookieConfig, maxAgeSeconds: number): CookieAttributes {
  return { ...accessCookie(config, maxAgeSeconds), path: '/auth', sameSite: 'strict' }
}

/**
 * Attributes of the portal's session: links in mails and on other sites lead to the portal, so that it is
 * never `strict`.
 */
export function portalCookie(
  { COOKIE_SECURE }: Pick<Config, 'COOKIE_SECURE'>,
  maxAgeSeconds: number,
): CookieAttributes {
  return { path: '/', sameSite: 'lax', secure: COOKIE_SECURE, maxAgeSeconds }
}

/**
 * True when the request carries this cookie more than once: another application of the parent domain has set
 * one, too.
 */
export function carriesTwo(req: IncomingMessage, name: GatewayCookie): boolean {
  return cookieValues(req.headers.cookie, name).length > 1
}

/** A host has at most so many parent domains that matter here. */
const mostDomains = 8

/** The domains that a cookie of this host can belong to: the host and its parents, without the last label. */
function domainsOf(requestedHost: string | undefined): string[] {
  const host = (requestedHost ?? '').replace(/:\d*$/, '').toLowerCase()
  if (isIP(host) !== 0 || !/^[\w-]+(?:\.[\w-]+)+$/.test(host)) return []
  const labels = host.split('.')
  return labels
    .slice(0, -1)
    .map((_, index) => labels.slice(index).join('.'))
    .slice(-mostDomains)
}

/**
 * Expires every cookie of this name that the browser can have sent here. RFC 6265 §5.3 tells cookies apart by
 * name, domain and path, and the request names neither domain nor path: so each parent domain and the usual
 * paths are named in turn.
 */
function expireAll(res: Response, name: GatewayCookie, { path, secure }: CookieAttributes): void {
  const end = `Max-Age=0; Expires=${new Date(0).toUTCString()}; HttpOnly${secure ? '; Secure' : ''}`
  for (const where of new Set(['/', name === 'portal_session' ? '/portal' : '/auth', path])) {
    for (const domain of ['', ...domainsOf(res.req.requestedHost).map((one) => `; Domain=${one}`)]) {
      res.pendingHeaders.push('Set-Cookie', `${name}=; Path=${where}${domain}; ${end}`)
    }
  }
}

/**
 * Sets one of our cookies, which no script may read. `value` is base64url with dots, so it needs no encoding.
 * A browser that sent several of this name is told to forget them all first: else it would go on sending two,
 * which are refused.
 */
export function setCookie(
  res: Response,
  name: GatewayCookie,
  value: string,
  attributes: CookieAttributes,
): void {
  const { path, sameSite, secure, maxAgeSeconds } = attributes
  if (carriesTwo(res.req, name)) expireAll(res, name, attributes)
  const expires = new Date(maxAgeSeconds === 0 ? 0 : Date.now() + maxAgeSeconds * 1000).toUTCString()
  const site = `${sameSite.charAt(0).toUpperCase()}${sameSite.slice(1)}`
  res.pendingHeaders.push(
    'Set-Cookie',
    `${name}=${value}; Max-Age=${maxAgeSeconds}; Path=${path}; Expires=${expires}; HttpOnly; SameSite=${site}${secure ? '; Secure' : ''}`,
  )
}
