import type { Response } from 'express'
import { gatewayCookies } from '../http/cookies.js'

const hopByHop = new Set(['connection', 'keep-alive', 'proxy-authenticate', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])
/** Headers of the gateway's own, which an upstream does not overwrite. */
const own = new Set(['x-request-id', 'x-content-type-options', 'ratelimit', 'ratelimit-policy'])

/** A cookie without a name, `=auth_token=x`, comes back as `auth_token=x`: what stands before the second `=` is looked at too. */
const setsGatewayCookie = (value: string) => {
  const [name = '', rest = ''] = value.split(';', 1)[0]?.split('=').map((part) => part.trim()) ?? []
  return gatewayCookies.some((own) => own === (name === '' ? rest : name))
}

type UpstreamHeaders = Record<string, string | string[] | undefined>

function copyHeader(res: Response, name: string, value: string | string[]): void {
  if (name === 'set-cookie') {
    const cookies = (Array.isArray(value) ? value : [value]).filter((cookie) => !setsGatewayCookie(cookie))
    if (cookies.length > 0) res.setHeader(name, [...asList(res.getHeader(name)), ...cookies])
  } else if (name === 'vary') {
    res.append('Vary', Array.isArray(value) ? value.join(', ') : value)
  } else if (!(name.startsWith('access-control-') && res.hasHeader(name))) {
    res.setHeader(name, value)
  }
}

const asList = (value: number | string | string[] | undefined) => value === undefined ? [] : Array.isArray(value) ? value : [String(value)]

/**
 * Copies an upstream's response headers, less those for one hop, our own, and cookies by our names. An answer that
 * depends on its caller is no shared cache's: without a word of the upstream it is not stored, and with one it varies
 * by all that the gateway decided on.
 */
export function copyResponseHeaders(res: Response, headers: UpstreamHeaders, isPrivate: boolean): void {
  const connection = headers.connection
  const named = connection === undefined ? undefined : new Set((Array.isArray(connection) ? connection.join(',') : connection).toLowerCase().split(',').map((name) => name.trim()))
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && !hopByHop.has(name) && !own.has(name) && named?.has(name) !== true) copyHeader(res, name, value)
  }
  if (!isPrivate) return
  if (headers['cache-control'] === undefined) res.setHeader('Cache-Control', 'no-store')
  else res.append('Vary', 'Cookie, Authorization, X-Mandate-Id, X-Instance-Id')
}
