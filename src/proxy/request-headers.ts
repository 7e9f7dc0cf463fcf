import type { Request } from 'express'
import { lastOf, trustedAddresses } from '../http/client-address.js'
import { namesPlace } from '../context/requested-place.js'
import { gatewayCookies } from '../http/cookies.js'
import { callersTrace, traceparentFrom } from '../http/trace-context.js'
import { callerHeaders, pushCallerHeaders } from './caller-headers.js'
import { takesTrailers } from './response-headers.js'

/** RFC 9110 §7.6.1, and its predecessors' names. */
const hopByHop = ['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings']

/** Headers that the gateway writes itself, whatever the client says. */
const rebuilt = ['x-request-id', 'traceparent', 'forwarded', 'host', 'expect', 'x-real-ip', 'x-client-ip', 'true-client-ip', 'x-cluster-client-ip', 'cf-connecting-ip', 'x-original-host', 'x-host', 'remote-user', 'proxy']

/** Headers by which some programs let a client say another method or path than the one that was decided on. */
const overrides = ['x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-url', 'x-rewrite-url', 'x-original-uri']

type Fate = 'drop' | 'keep' | 'cookie' | 'authorization' | 'protocols' | 'tracestate'

const dropped = new Set<string>([...callerHeaders, ...hopByHop, ...rebuilt, ...overrides])

/** Some upstreams read `X_User_Id` as `X-User-Id`: a name is judged as the most forgiving of them would read it. */
function fateOf(name: string): Fate {
  const folded = name.toLowerCase().replace(/[^a-z0-9]/g, '-')
  if (dropped.has(folded) || folded.startsWith('x-forwarded-') || (folded === 'content-length' && name.toLowerCase() !== folded)) return 'drop'
  if (folded === 'cookie' || folded === 'tracestate') return folded
  if (folded === 'sec-websocket-protocol') return 'protocols'
  return folded === 'authorization' ? 'authorization' : 'keep'
}

/** Clients send the same few names over and over, in the same spelling. */
const fates = new Map<string, Fate>()
const maxRemembered = 2000

function rememberedFate(name: string): Fate {
  const known = fates.get(name)
  if (known) return known
  const fate = fateOf(name)
  if (fates.size < maxRemembered && name.length <= 64) fates.set(name, fate)
  return fate
}

function withoutGatewayCookies(header: string): string | undefined {
  if (!gatewayCookies.some((name) => header.includes(name))) return header
  const others = header.split(';').filter((pair) => {
    const name = pair.slice(0, !pair.includes('=') ? undefined : pair.indexOf('=')).trim()
    return !gatewayCookies.some((own) => own === name)
  })
  return others.length > 0 ? others.join(';').trim() : undefined
}

/** Subprotocols that name a place have been read by the gateway. */
function withoutPlaces(protocols: string): string | undefined {
  return protocols.split(',').map((one) => one.trim()).filter((one) => one !== '' && !namesPlace(one)).join(', ') || undefined
}

/** Names that `Connection` declares to be for this hop only, lower-case. */
function connectionNames(req: Request): Set<string> | undefined {
  const connection = req.headers.connection
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(connection.toLowerCase().split(',').map((name) => name.trim()))
}

/** A host that needs no thought about quoting; another is not worth telling. */
const plainHost = /^[\w.~\-:[\]]+$/

/** RFC 7239 §4: who came through whom, and by what name the client called. */
function forwardedHeader(addresses: string[], proto: string, host: string | undefined): string {
  const [client = '', ...proxies] = addresses.map((address) => address.includes(':') ? `for="[${address}]"` : `for=${address}`)
  const asked = host !== undefined && plainHost.test(host) ? `;host="${host}"` : ''
  return [`${client}${asked};proto=${proto}`, ...proxies].join(', ')
}

/** The protocols by which a client may have come to a trusted proxy, as it may call them: a WebSocket's are those of its handshake. */
const encrypted = new Set(['https', 'wss'])

function pushForwardingHeaders(headers: string[], req: Request, trustProxy: number): void {
  const trusted = trustProxy > 0
  const proto = trusted && encrypted.has(lastOf(req.headers['x-forwarded-proto'])?.toLowerCase() ?? '') ? 'https' : 'http'
  const host = req.requestedHost
  const addresses = trustedAddresses(req, trustProxy)
  headers.push('X-Forwarded-For', addresses.join(', '), 'X-Forwarded-Proto', proto, 'Forwarded', forwardedHeader(addresses, proto, host), 'Via', `${req.httpVersion} mandate-gateway`)
  if (host !== undefined && plainHost.test(host)) headers.push('X-Forwarded-Host', host)
}

interface HeaderSettings {
  trustProxy: number
  keepAuthorization: boolean
  /** True where a WebSocket's subprotocols may have named the place. */
  hidesPlaceProtocols: boolean
}

/** The span that an upstream is to go on with, where spans are exported. */
type Onward = string | undefined

function sentValue(name: string, value: string, hasTrace: boolean, { keepAuthorization, hidesPlaceProtocols }: HeaderSettings): string | undefined {
  const fate = rememberedFate(name)
  if (fate === 'keep') return value
  if (fate === 'cookie') return withoutGatewayCookies(value)
  if (fate === 'authorization') return keepAuthorization ? value : undefined
  if (fate === 'tracestate') return hasTrace ? value : undefined // W3C: it goes with the caller's trace, or not at all
  if (fate === 'protocols') return hidesPlaceProtocols ? withoutPlaces(value) : value
  return undefined
}

/** What one request's headers become on their way to an upstream, with the caller's signed identity: names and values, in turn. */
export function upstreamHeaders(req: Request, identity: string | undefined, settings: HeaderSettings, onward: Onward): string[] {
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
  headers.push('X-Request-Id', req.id, 'traceparent', onward ?? traceparentFrom(caller))
  if (takesTrailers(req)) headers.push('TE', 'trailers')
  pushForwardingHeaders(headers, req, settings.trustProxy)
  pushCallerHeaders(headers, req)
  if (identity !== undefined) headers.push('X-Gateway-Identity', identity)
  return headers
}
