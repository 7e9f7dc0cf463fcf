import { isIP } from 'node:net'
import type { Request, Response } from 'express'
import type { Config } from '../config.js'

/** The names of the gateway's cookies. They reach an upstream only by a route with `credentials: pass`. */
export const gatewayCookies = ['auth_token', 'refresh_token', 'portal_session', 'sign_in_flow'] as const
export type GatewayCookie = (typeof gatewayCookies)[number]

/**
 * The names of a login's cookies with `COOKIE_PREFIX=host` (RFC 6265bis §4.1.3). A browser keeps them for this
 * host alone, and takes them over https alone.
 */
const prefixed = { auth_token: '__Host-auth_token', refresh_token: '__Secure-refresh_token' } as const
const originalNames = new Map<string, GatewayCookie>([
  [prefixed.auth_token, 'auth_token'],
  [prefixed.refresh_token, 'refresh_token'],
])

/** All names under which the gateway sets cookies. A service neither gets nor sets them. */
export const sentCookies: readonly string[] = [...gatewayCookies, ...originalNames.keys()]

/** A request whose cookies the gateway reads. */
type WithCookies = { state: Pick<Request['state'], 'cookieHeader'> }

/**
 * Returns a `Cookie` header as with `COOKIE_PREFIX=none`: cookies with the prefixed names get their plain
 * names, and those that have the plain names are left out.
 */
export function withoutPrefixes(header: string | undefined): string | undefined {
  return header
    ?.split(';')
    .flatMap((pair) => {
      const equals = pair.indexOf('=')
      const name = pair.slice(0, Math.max(equals, 0)).trim()
      const original = originalNames.get(name)
      if (original !== undefined) return [`${original}=${pair.slice(equals + 1).trim()}`]
      return name in prefixed ? [] : [pair.trim()]
    })
    .join('; ')
}

/** Cookies that even a route with `credentials: pass` drops, because no other program's login uses them. */
export const neverPassedCookies = ['portal_session', 'sign_in_flow'] as const

/**
 * Returns every value of the cookie `name` in a `Cookie` header, in order, without decoding. Blanks around
 * name and value are removed.
 */
export function cookieValues(header: string | undefined, name: string): string[] {
  const values: string[] = []
  if (header?.includes(name) !== true) return values
  for (const pair of header.split(';')) {
    // pair by pair, so that the time grows with the length only
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) values.push(pair.slice(equals + 1).trim())
  }
  return values
}

/**
 * Returns the value of one of the gateway's cookies; an empty one counts as absent. On routes of Express's
 * router, cookie-parser has read it.
 */
export function cookieValue(
  { state }: { state: Pick<Request['state'], 'cookieHeader' | 'parsedCookies'> },
  name: GatewayCookie,
): string | undefined {
  const parsed = state.parsedCookies?.[name]
  if (parsed) return parsed
  return cookieValues(state.cookieHeader, name).find((value) => value !== '')
}

/** Returns whether the request carries a cookie of this gateway. */
export function carriesGatewayCookie({ state: { cookieHeader: header } }: WithCookies): boolean {
  return header !== undefined && gatewayCookies.some((name) => cookieValues(header, name).length > 0)
}

/** The variables that say how the cookies of a login are set. */
export type CookieConfig = Pick<Config, 'COOKIE_SAMESITE' | 'COOKIE_SECURE' | 'COOKIE_PREFIX'>

/** The attributes of a cookie (RFC 6265 §4.1). */
interface CookieAttributes {
  /** The name that the browser keeps; by default the cookie's own. */
  sentName?: string | undefined
  path: string
  sameSite: 'lax' | 'strict' | 'none'
  secure: boolean
  /** 0 clears the cookie. */
  maxAgeSeconds: number
}

/** Attributes of the access-token cookie. */
export function accessCookie(config: CookieConfig, maxAgeSeconds: number): CookieAttributes {
  return {
    path: '/',
    sameSite: config.COOKIE_SAMESITE,
    secure: config.COOKIE_SECURE,
    maxAgeSeconds,
    sentName: config.COOKIE_PREFIX === 'host' ? prefixed.auth_token : undefined,
  }
}

/** Attributes of the refresh-token cookie, which is sent to `/auth` only. */
export function refreshCookie(config: CookieConfig, maxAgeSeconds: number): CookieAttributes {
  return {
    ...accessCookie(config, maxAgeSeconds),
    path: '/auth',
    sameSite: 'strict',
    sentName: config.COOKIE_PREFIX === 'host' ? prefixed.refresh_token : undefined,
  }
}

/**
 * Attributes of the portal's session cookie. It is never `strict`, because links in mails and on other sites
 * lead to the portal.
 */
export function portalCookie(
  { COOKIE_SECURE }: Pick<Config, 'COOKIE_SECURE'>,
  maxAgeSeconds: number,
): CookieAttributes {
  return { path: '/', sameSite: 'lax', secure: COOKIE_SECURE, maxAgeSeconds }
}

/**
 * Returns whether the request carries this cookie more than once. Then another application of the parent
 * domain has set one, too.
 */
export function carriesTwo({ state }: WithCookies, name: GatewayCookie): boolean {
  return cookieValues(state.cookieHeader, name).length > 1
}

/** More parent domains than this do not matter. */
const mostDomains = 8

/**
 * Returns the domains that a cookie of this host can belong to: the host and its parents, without the last
 * label.
 */
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
 * Expires every cookie of this name that the browser may have sent. RFC 6265 §5.3 identifies cookies by name,
 * domain and path, and the request shows neither domain nor path. So each parent domain and the usual paths
 * are named in turn.
 */
function expireAll(res: Response, name: GatewayCookie, { path, secure, sentName }: CookieAttributes): void {
  const end = `Max-Age=0; Expires=${new Date(0).toUTCString()}; HttpOnly${secure ? '; Secure' : ''}`
  for (const where of new Set(['/', name === 'portal_session' ? '/portal' : '/auth', path])) {
    for (const domain of ['', ...domainsOf(res.req.state.requestedHost).map((one) => `; Domain=${one}`)]) {
      res.pendingHeaders.push('Set-Cookie', `${sentName ?? name}=; Path=${where}${domain}; ${end}`)
    }
  }
}

/**
 * Sets one of the gateway's cookies, which no script can read. `value` is base64url with dots and needs no
 * encoding. If the browser sent several of this name, all are expired first; otherwise it would go on sending
 * two, which are refused.
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
    `${attributes.sentName ?? name}=${value}; Max-Age=${maxAgeSeconds}; Path=${path}; Expires=${expires}; HttpOnly; ` +
      `SameSite=${site}${secure ? '; Secure' : ''}`,
  )
}

/**
 * Expires the cookies of a login that were set before `COOKIE_PREFIX=host`. They are ignored, but browsers
 * would go on sending them.
 */
export function expireFormerCookies(res: Response, config: CookieConfig): void {
  if (config.COOKIE_PREFIX !== 'host') return
  const former = { ...config, COOKIE_PREFIX: 'none' as const }
  expireAll(res, 'auth_token', accessCookie(former, 0))
  expireAll(res, 'refresh_token', refreshCookie(former, 0))
}
