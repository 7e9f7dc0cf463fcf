import type { Request } from 'express'
import { sentPath, type PathMapping } from './sent-path.js'

/** Returns a response header's value in the client's own addresses. */
export type MapBack = (name: string, value: string, req: Request) => string

/** The headers of an answer that hold addresses. */
export const addressHeaders: ReadonlySet<string> = new Set([
  'location',
  'content-location',
  'refresh',
  'link',
  'set-cookie',
])

/** Only for resolving: nothing names it. */
const nowhere = 'http://nowhere.invalid'
const hasAuthority = /^(?:https?:|[\\/]{2})/i
const otherScheme = /^[a-z][a-z0-9+.-]*:/i
const beyondAscii = /[\x80-\xff]/

const isLoopback = (host: string) =>
  host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)
const isWithin = (path: string, prefix: string) =>
  path === prefix || path.startsWith(prefix === '/' ? prefix : `${prefix}/`)
const portOf = ({ port, protocol }: URL) => port || (protocol === 'https:' ? '443' : '80')

/** Headers come as Latin-1, and some services write UTF-8. */
const decoded = (value: string) =>
  beyondAscii.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value

/** Returns the client's path for a path of the service, which may have a query and a fragment. */
function pathMapper({ prefix, strip, rewrite }: PathMapping): ((path: string) => string) | undefined {
  const base = strip ? '/' : rewrite
  if (base === undefined || base === prefix) return undefined
  const own = prefix === '/' ? '' : prefix
  return (reference) => {
    const end = reference.search(/[?#]/)
    const asWritten = end === -1 ? reference : reference.slice(0, end)
    const path = asWritten.includes('/.') ? new URL(asWritten, nowhere).pathname : asWritten
    const rest = end === -1 ? '' : reference.slice(end)
    // A service that uses X-Forwarded-Prefix, or knows its prefix, has added it already.
    if (base === '/') return (isWithin(path, prefix) ? path : own + path) + rest
    return (isWithin(path, base) ? own + path.slice(base.length) || '/' : path) + rest
  }
}

/**
 * Returns whether an address is one of the targets: by the same name, or, on this machine, by the same port.
 */
function targetMatcher(targets: string[]): (url: URL) => boolean {
  const own = targets.filter((target) => URL.canParse(target)).map((target) => new URL(target))
  return (url) =>
    own.some(
      (target) =>
        portOf(target) === portOf(url) &&
        (target.hostname === url.hostname || (isLoopback(target.hostname) && isLoopback(url.hostname))),
    )
}

const isPublic = (url: URL, requestedHost: string | undefined) =>
  requestedHost?.toLowerCase().replace(url.protocol === 'https:' ? /:443$/ : /:80$/, '') === url.host

/** Returns whether a cookie's `Domain` includes a host (RFC 6265 §5.1.3). */
const domainTakes = (domain: string, host: string) => host === domain || host.endsWith(`.${domain}`)

/** Maps a cookie's path, and drops a domain of the target, because browsers would drop such a cookie. */
function cookieMapper(mapPath: ((path: string) => string) | undefined, targets: string[]) {
  const hosts = targets.filter((target) => URL.canParse(target)).map((target) => new URL(target).hostname)
  return (cookie: string, { state: { requestedHost } }: Request): string => {
    const [pair = '', ...attributes] = cookie.split(';')
    const isHostCookie = /^\s*__Host-/i.test(pair) // its path is always /
    const kept = attributes.flatMap((attribute) => {
      const equals = attribute.indexOf('=')
      const name = attribute
        .slice(0, equals === -1 ? undefined : equals)
        .trim()
        .toLowerCase()
      const value = equals === -1 ? '' : attribute.slice(equals + 1).trim()
      if (name === 'path' && mapPath && !isHostCookie && value.startsWith('/'))
        return [` Path=${mapPath(value)}`]
      const domain = name === 'domain' ? value.toLowerCase().replace(/^\./, '') : ''
      const isForeign =
        domain !== '' &&
        hosts.some((host) => domainTakes(domain, host)) &&
        !domainTakes(domain, requestedHost?.toLowerCase().replace(/:\d+$/, '') ?? '')
      return isForeign ? [] : [attribute]
    })
    return [pair, ...kept].join(';')
  }
}

/** The form that browsers read (WHATWG HTML, "shared declarative refresh steps"). */
const refreshForm = /^([\d.]*\s*[;,]\s*(?:url\s*=\s*)?)(.*)$/is

/**
 * Returns the function that maps the addresses in a route's responses back to the client's. It reverts the
 * change of the path and replaces a target's own address. A service may send its own path, its path with the
 * prefix, or an absolute address with either name.
 */
export function createMapBack(route: PathMapping, targets: string[]): MapBack {
  const mapPath = pathMapper(route)
  const isTarget = targetMatcher(targets)
  const mapCookie = cookieMapper(mapPath, targets)

  const mapAbsolute = (value: string, req: Request): string => {
    if (!URL.canParse(value, nowhere)) return value
    const url = new URL(value, nowhere)
    const rest = url.pathname + url.search + url.hash
    if (isTarget(url)) return mapPath ? mapPath(rest) : rest
    if (!mapPath || !isPublic(url, req.state.requestedHost)) return value
    return `${otherScheme.test(value) ? url.protocol : ''}//${url.host}${mapPath(rest)}`
  }

  const mapReference = (value: string, req: Request): string => {
    if (hasAuthority.test(value)) return mapAbsolute(decoded(value), req)
    if (!mapPath || value === '' || otherScheme.test(value) || value.startsWith('#') || value.startsWith('?'))
      return value
    if (value.startsWith('/')) return mapPath(value)
    const base = nowhere + sentPath(route, req.state.pathname, '')
    if (!URL.canParse(decoded(value), base)) return value
    const { pathname, search, hash } = new URL(decoded(value), base)
    return mapPath(pathname + search + hash)
  }

  const mapRefresh = (value: string, req: Request): string => {
    const [, head, given = ''] = refreshForm.exec(value.trim()) ?? []
    if (head === undefined) return value
    const quote = /^['"]/.exec(given)?.[0] ?? ''
    const inner = quote === '' ? given.trimEnd() : (given.slice(1).split(quote, 1)[0] ?? '')
    return head + quote + mapReference(inner, req) + quote
  }

  return (name, value, req) => {
    switch (name) {
      case 'set-cookie':
        return mapCookie(value, req)
      case 'refresh':
        return mapRefresh(value, req)
      case 'link':
        return value.replace(
          /<([^<>]*)>/g,
          (_, reference: string) => `<${mapReference(reference.trim(), req)}>`,
        )
      default:
        return mapReference(value.trim(), req)
    }
  }
}
