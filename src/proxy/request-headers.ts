import type { Request } from 'express'
import { lastOf, trustedAddresses } from '../http/client-address.js'
import { namesPlace } from '../context/requested-place.js'
import { neverPassedCookies, sentCookies } from '../http/cookies.js'

import { callersTrace, traceparentFrom } from '../observability/trace-context.js'
import { pushCallerHeaders, type Disclosure } from './caller-headers.js'
import type { HeaderPolicy } from './header-names.js'
import { takesTrailers } from './response-headers.js'

function withoutCookies(header: string, names: readonly string[]): string | undefined {
  if (!names.some((name) => header.includes(name))) return header
  const others = header.split(';').filter((pair) => {
    const name = pair.slice(0, !pair.includes('=') ? undefined : pair.indexOf('=')).trim()
    return !names.some((own) => own === name)
  })
  return others.length > 0 ? others.join(';').trim() : undefined
}

/** The gateway has read the subprotocols that name a mandate or instance. */
function withoutPlaces(protocols: string): string | undefined {
  return (
    protocols
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '' && !namesPlace(one))
      .join(', ') || undefined
  )
}

/** Names that `Connection` declares to be for this hop only, in lower case. */
function connectionNames(req: Request): Set<string> | undefined {
  const connection = req.headers.connection
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(
    connection
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  )
}

/** A host that needs no quoting. Any other is left out. */
const plainHost = /^[\w.~\-:[\]]{1,261}$/

/** RFC 7239 §4: the addresses that the request came through, and the host that the client asked for. */
function forwardedHeader(addresses: string[], proto: string, host: string | undefined): string {
  const [client = '', ...proxies] = addresses.map((address) =>
    address.includes(':') ? `for="[${address}]"` : `for=${address}`,
  )
  const asked = host !== undefined && plainHost.test(host) ? `;host="${host}"` : ''
  return [`${client}${asked};proto=${proto}`, ...proxies].join(', ')
}

/** The schemes that a trusted proxy may report of a client. A WebSocket's is that of its handshake. */
const encrypted = new Set(['https', 'wss'])

/** Addresses for which `Forwarded` repeats `X-Forwarded-For`. There are few, so that headers stay small. */
const maxForwarded = 8

function pushForwardingHeaders(headers: string[], req: Request, trustProxy: number): void {
  const trusted = trustProxy > 0
  const proto =
    trusted && encrypted.has(lastOf(req.headers['x-forwarded-proto'])?.toLowerCase() ?? '') ? 'https' : 'http'
  const host = req.state.requestedHost
  const addresses = trustedAddresses(req, trustProxy)
  headers.push('X-Forwarded-For', addresses.join(', '), 'X-Forwarded-Proto', proto)
  if (addresses.length <= maxForwarded) headers.push('Forwarded', forwardedHeader(addresses, proto, host))
  headers.push('Via', `${req.httpVersion} mandate-gateway`)
  if (host !== undefined && plainHost.test(host)) headers.push('X-Forwarded-Host', host)
}

/** The header rules of a route's requests, computed once for all of them. */
export interface HeaderSettings {
  trustProxy: number
  keepAuthorization: boolean
  /** The cookies of a login are passed on. */
  keepCookies: boolean
  /** The mandate and instance that the client names are passed on unchecked. */
  keepPlace: boolean
  /** True when a WebSocket's subprotocols may have named the mandate or instance. */
  hidesPlaceProtocols: boolean
  policyOf: (name: string) => HeaderPolicy
  /** Names and values that the route file sets, in turn. */
  added: readonly string[]
  /** The removed prefix of the path. */
  strippedPrefix: string | undefined
  /** The service is called by the host that the client asked for. */
  preservesHost: boolean
  disclosure: Disclosure
}

/** The span that the upstream continues, if spans are exported. */
type Onward = string | undefined

function sentValue(
  name: string,
  value: string,
  hasTrace: boolean,
  { policyOf, keepAuthorization, keepCookies, keepPlace, hidesPlaceProtocols }: HeaderSettings,
): string | undefined {
  const policy = policyOf(name)
  if (policy === 'keep') return value
  if (policy === 'cookie') return withoutCookies(value, keepCookies ? neverPassedCookies : sentCookies)
  if (policy === 'place') return keepPlace ? value : undefined
  if (policy === 'authorization') return keepAuthorization ? value : undefined
  // W3C: it is sent with the caller's trace, or not at all.
  if (policy === 'tracestate') return hasTrace ? value : undefined
  if (policy === 'protocols') return hidesPlaceProtocols ? withoutPlaces(value) : value
  return undefined
}

/**
 * Returns the headers of one request for its upstream, with the caller's signed identity: names and values in
 * turn.
 */
export function upstreamHeaders(
  req: Request,
  identity: string | undefined,
  settings: HeaderSettings,
  onward: Onward,
): string[] {
  const caller = callersTrace(req)
  const named = connectionNames(req)
  const headers: string[] = []
  const lines = req.rawHeaders
  for (let index = 0; index + 1 < lines.length; index += 2) {
    const name = lines[index] ?? ''
    if (named?.has(name.toLowerCase()) === true) continue
    const value = sentValue(name, lines[index + 1] ?? '', caller !== undefined, settings)
    if (value !== undefined) headers.push(name, value)
  }
  const from = headers.length
  headers.push('X-Request-Id', req.state.id, 'traceparent', onward ?? traceparentFrom(caller))
  if (takesTrailers(req)) headers.push('TE', 'trailers')
  if (
    settings.preservesHost &&
    req.state.requestedHost !== undefined &&
    plainHost.test(req.state.requestedHost)
  )
    headers.push('Host', req.state.requestedHost)
  pushForwardingHeaders(headers, req, settings.trustProxy)
  if (settings.strippedPrefix !== undefined) headers.push('X-Forwarded-Prefix', settings.strippedPrefix)
  pushCallerHeaders(headers, req, { disclosure: settings.disclosure, identity, from })
  headers.push(...settings.added)
  return headers
}
