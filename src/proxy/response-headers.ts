import type { Request, Response } from 'express'
import { gatewayCookies, neverPassedCookies } from '../http/cookies.js'
import { addressHeaders, type MapBack } from './map-back.js'

const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]
/**
 * Headers of the gateway's own, which an upstream does not overwrite: how browsers come here is said of the
 * whole host.
 */
const own = [
  'x-request-id',
  'x-content-type-options',
  'strict-transport-security',
  'ratelimit',
  'ratelimit-policy',
]
const dropped = new Set([...hopByHop, ...own])

/** Response headers that no route file may set or remove: framing, cookies, CORS and the gateway's own. */
const reserved = new Set([
  ...dropped,
  'trailer',
  'content-length',
  'content-encoding',
  'set-cookie',
  'www-authenticate',
])

/** Returns whether a response header is the gateway's own to write, or belongs to the answer's framing. */
export const isReservedOnResponses = (name: string) =>
  reserved.has(name.toLowerCase()) || name.toLowerCase().startsWith('access-control-')

/** What a route does to the headers of its answers, worked out once for all of them. */
export interface AnswerSettings {
  /** The answer depends on its caller. */
  isPrivate: boolean
  /** The service may set the cookies of a login. */
  keepCookies: boolean
  mapBack: MapBack
  /** Lower-case names that the route file removes or sets. */
  dropped: ReadonlySet<string>
  /** Names and values that it sets, in turn. */
  added: readonly string[]
}

/**
 * A cookie without a name, `=auth_token=x`, comes back as `auth_token=x`: what stands before the second `=`
 * is looked at too.
 */
const setsCookie = (value: string, names: readonly string[]) => {
  const [name = '', rest = ''] =
    value
      .split(';', 1)[0]
      ?.split('=')
      .map((part) => part.trim()) ?? []
  return names.includes(name === '' ? rest : name)
}

/** Headers by lower-case name, as undici has them. */
export type UpstreamHeaders = Record<string, string | string[] | undefined>

/** Names that `Connection` declares to be for one hop only. */
function connectionNames(connection: string | string[] | undefined): Set<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(
    String(connection)
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  )
}

/**
 * An upstream's response headers, less those for one hop, our own, and cookies by our names: names and
 * values, in turn. Addresses are mapped back to the client's. An answer that depends on its caller is stored
 * nowhere, and which pages may read it is the gateway's to say, whatever the upstream thinks.
 */
export function responseHeaders(
  headers: UpstreamHeaders,
  req: Request,
  res: Response,
  settings: AnswerSettings,
): string[] {
  const named = connectionNames(headers.connection)
  const { isPrivate, mapBack, keepCookies } = settings
  const ownCookies = keepCookies ? neverPassedCookies : gatewayCookies
  const lines: string[] = []
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || dropped.has(name) || named?.has(name) === true || settings.dropped.has(name))
      continue
    if (name === 'trailer' && !mayHaveTrailers(headers, req)) continue
    if (
      isPrivate
        ? name === 'cache-control' || name.startsWith('access-control-')
        : name.startsWith('access-control-') && res.hasHeader(name)
    )
      continue
    const maps = addressHeaders.has(name)
    if (typeof value === 'string' && !maps) lines.push(name, value)
    else
      for (const one of [value].flat())
        if (name !== 'set-cookie' || !setsCookie(one, ownCookies))
          lines.push(name, maps ? mapBack(name, one, req) : one)
  }
  lines.push(...settings.added)
  if (isPrivate) lines.push('Cache-Control', 'no-store')
  return lines
}

/** Whether a client said that it reads trailers (RFC 9110 §10.1.4). */
export const takesTrailers = ({ headers: { te } }: Request) =>
  typeof te === 'string' && /(?:^|,)\s*trailers\s*(?:;|,|$)/i.test(te)

/** Only an answer in chunks has trailers; of another Node refuses even to say that it had. */
const mayHaveTrailers = (headers: UpstreamHeaders, req: Request) =>
  takesTrailers(req) &&
  headers['transfer-encoding'] !== undefined &&
  req.method !== 'HEAD' &&
  req.httpVersion === '1.1'

/** Framing, caching and cookies are not to be changed when the answer is almost over (RFC 9110 §6.5.1). */
const neverTrailers = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'cache-control',
  'set-cookie',
  'trailer',
  'host',
  'authorization',
  'www-authenticate',
  'location',
  'vary',
  'retry-after',
])

/** An upstream's trailers, less those that may not be any. */
export function responseTrailers(trailers: UpstreamHeaders, req: Request): [string, string][] {
  if (!takesTrailers(req)) return []
  return Object.entries(trailers).flatMap(([name, value]) => {
    if (
      value === undefined ||
      dropped.has(name) ||
      neverTrailers.has(name) ||
      name.startsWith('access-control-')
    )
      return []
    return [value].flat().map((one): [string, string] => [name, one])
  })
}
