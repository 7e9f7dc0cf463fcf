import type { Request, Response } from 'express'
import { sentCookies, neverPassedCookies } from '../http/cookies.js'
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
/** The gateway's own headers, which an upstream cannot overwrite: they hold for the whole host. */
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

/** Returns whether only the gateway may write a response header, or whether it belongs to the framing. */
export const isReservedOnResponses = (name: string) =>
  reserved.has(name.toLowerCase()) || name.toLowerCase().startsWith('access-control-')

/** The header rules of a route's responses, computed once for all of them. */
export interface AnswerSettings {
  /** The response depends on its caller. */
  isPrivate: boolean
  /** The service may set the cookies of a login. */
  keepCookies: boolean
  mapBack: MapBack
  /** Names that the route file removes or sets, in lower case. */
  dropped: ReadonlySet<string>
  /** Names and values that it sets, in turn. */
  added: readonly string[]
}

/**
 * A cookie without a name, `=auth_token=x`, is sent back as `auth_token=x`. So the part before the second `=`
 * is checked, too.
 */
const setsCookie = (value: string, names: readonly string[]) => {
  const [name = '', rest = ''] =
    value
      .split(';', 1)[0]
      ?.split('=')
      .map((part) => part.trim()) ?? []
  return names.includes(name === '' ? rest : name)
}

/** Headers by name in lower case, as undici returns them. */
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
 * Returns an upstream's response headers without those for one hop, the gateway's own, and cookies with the
 * gateway's names: names and values in turn. Addresses are mapped back to the client's. A response that
 * depends on its caller is not stored. Only the gateway decides which pages may read it.
 */
export function responseHeaders(
  headers: UpstreamHeaders,
  req: Request,
  res: Response,
  settings: AnswerSettings,
): string[] {
  const named = connectionNames(headers.connection)
  const { isPrivate, mapBack, keepCookies } = settings
  const ownCookies = keepCookies ? neverPassedCookies : sentCookies
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

/** Returns whether a client said that it reads trailers (RFC 9110 §10.1.4). */
export const takesTrailers = ({ headers: { te } }: Request) =>
  typeof te === 'string' && /(?:^|,)\s*trailers\s*(?:;|,|$)/i.test(te)

/** Only a chunked response has trailers. For any other, Node refuses to announce them. */
const mayHaveTrailers = (headers: UpstreamHeaders, req: Request) =>
  takesTrailers(req) &&
  headers['transfer-encoding'] !== undefined &&
  req.method !== 'HEAD' &&
  req.httpVersion === '1.1'

/** Framing, caching and cookies cannot change at the end of a response (RFC 9110 §6.5.1). */
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

/** Returns an upstream's trailers without those that are not allowed. */
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
