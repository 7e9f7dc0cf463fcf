import { randomUUID } from 'node:crypto'
import type { Request } from 'express'
import { trustedAddresses } from '../http/client-address.js'
import { gatewayCookies } from '../http/cookies.js'
import { callerHeaders, pushCallerHeaders } from './caller-headers.js'

/** RFC 9110 §7.6.1, and its predecessors' names. */
const hopByHop = ['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']

/** Headers that the gateway writes itself, whatever the client says. */
const rebuilt = ['x-request-id', 'traceparent', 'forwarded', 'host', 'expect', 'x-real-ip', 'x-client-ip', 'true-client-ip']

/** Headers by which some programs let a client say another method or path than the one that was decided on. */
const overrides = ['x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-url', 'x-rewrite-url', 'x-original-uri']

type Fate = 'drop' | 'keep' | 'cookie' | 'authorization'

const dropped = new Set<string>([...callerHeaders, ...hopByHop, ...rebuilt, ...overrides])

/** Some upstreams read `X_User_Id` as `X-User-Id`: a name is judged as the most forgiving of them would read it. */
function fateOf(name: string): Fate {
  const folded = name.toLowerCase().replace(/[^a-z0-9]/g, '-')
  if (dropped.has(folded) || folded.startsWith('x-forwarded-')) return 'drop'
  if (folded === 'cookie') return 'cookie'
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

/** Names that `Connection` declares to be for this hop only, lower-case. */
function connectionNames(req: Request): Set<string> | undefined {
  const connection = req.headers.connection
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(connection.toLowerCase().split(',').map((name) => name.trim()))
}

const wellFormedTrace = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** Ids of traces that begin here: of this process, counted. */
const processPart = randomUUID().replaceAll('-', '')
const [tracePart, parentPart] = [`1${processPart.slice(1, 24)}`, `1${processPart.slice(25)}`]
let traces = 0

/** The caller's W3C trace context, else a new one, so that an upstream can always correlate. */
function traceparentOf(req: Request): string {
  const given = req.headers.traceparent
  if (typeof given === 'string' && wellFormedTrace.test(given)) return given
  traces = (traces + 1) % 0xffff_ffff
  const count = traces.toString(16).padStart(8, '0')
  return `00-${tracePart}${count}-${parentPart}${count}-00`
}

/** The last of a forwarding header's values: the one that the nearest proxy wrote. */
function lastOf(header: string | string[] | undefined): string | undefined {
  return (Array.isArray(header) ? header.join(',') : header)?.split(',').at(-1)?.trim() || undefined
}

function pushForwardingHeaders(headers: string[], req: Request, trustProxy: number): void {
  const trusted = trustProxy > 0
  const proto = trusted ? lastOf(req.headers['x-forwarded-proto']) : undefined
  const host = (trusted ? lastOf(req.headers['x-forwarded-host']) : undefined) ?? req.headers.host
  headers.push('X-Forwarded-For', trusted ? trustedAddresses(req, trustProxy).join(', ') : req.clientAddress, 'X-Forwarded-Proto', proto === 'https' ? 'https' : 'http')
  if (host !== undefined) headers.push('X-Forwarded-Host', host)
}

/** What one request's headers become on their way to an upstream: names and values, in turn. */
export function upstreamHeaders(req: Request, { trustProxy, keepAuthorization }: { trustProxy: number; keepAuthorization: boolean }): string[] {
  const named = connectionNames(req)
  const headers: string[] = []
  const lines = req.rawHeaders
  for (let index = 0; index + 1 < lines.length; index += 2) {
    const name = lines[index] ?? ''
    const value = lines[index + 1] ?? ''
    const fate = rememberedFate(name)
    if (fate === 'drop' || named?.has(name.toLowerCase()) === true) continue
    if (fate === 'authorization' && !keepAuthorization) continue
    const kept = fate === 'cookie' ? withoutGatewayCookies(value) : value
    if (kept !== undefined) headers.push(name, kept)
  }
  headers.push('X-Request-Id', req.id, 'traceparent', traceparentOf(req))
  pushForwardingHeaders(headers, req, trustProxy)
  pushCallerHeaders(headers, req)
  return headers
}
