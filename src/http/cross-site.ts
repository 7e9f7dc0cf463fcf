import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import { GatewayError } from '../errors.js'
import type { Middleware } from './endpoint/chain.js'
import { carriesGatewayCookie, cookieValue } from './cookies.js'

/**
 * When a request is checked for having been caused by another site's page. `ambient`: when a browser may have
 * added the gateway's cookies to an unsafe method. `cookie`: the same, for endpoints that ignore header
 * tokens. `always`: for endpoints that set cookies. `navigation`: for those that set cookies after a followed
 * link or button, which may be on a page of the same site.
 */
export type CrossSitePolicy = 'ambient' | 'cookie' | 'always' | 'navigation'

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * Browsers add credentials of other schemes, such as Basic, by themselves. Only a program adds a bearer
 * token.
 */
const hasBearer = (req: IncomingMessage) => /^bearer +\S/i.test(req.headers.authorization ?? '')

/**
 * A page of any site may open a WebSocket, and the browser adds cookies. So it is not a safe request, despite
 * its method. Another proxy removes `Upgrade` when it asks.
 */
const opensWebSocket = ({ headers }: IncomingMessage) =>
  headers.upgrade?.toLowerCase() === 'websocket' || headers['sec-websocket-key'] !== undefined

const isCredentialAmbient = (req: Request) => cookieValue(req, 'auth_token') !== undefined || !hasBearer(req)

const carriesCookieUnsafely = (req: Request) =>
  (!safeMethods.has(req.method) || opensWebSocket(req)) && carriesGatewayCookie(req)

const isChecked: Record<CrossSitePolicy, (req: Request) => boolean> = {
  ambient: (req) => carriesCookieUnsafely(req) && isCredentialAmbient(req),
  cookie: carriesCookieUnsafely,
  always: () => true,
  navigation: isCredentialAmbient,
}

const isNavigationWithinSite = ({ headers }: IncomingMessage) =>
  headers['sec-fetch-site'] === 'same-site' && headers['sec-fetch-mode'] === 'navigate'

function comesFromElsewhere(
  req: IncomingMessage,
  ownOrigin: string,
  allowedOrigins: ReadonlySet<string>,
): boolean {
  const origin = req.headers.origin?.toLowerCase()
  if (origin !== undefined && allowedOrigins.has(origin)) return false
  const site = req.headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  return origin !== undefined && origin !== ownOrigin
}

/** Refuses requests that another site's page made the browser send (Fetch Metadata, else `Origin`). */
export function refuseCrossSite({
  ownOrigin,
  allowedOrigins,
}: {
  ownOrigin: () => string
  allowedOrigins: string[]
}): (policy: CrossSitePolicy) => Middleware {
  const allowed = new Set(allowedOrigins)
  return (policy) => (req, _res, next) => {
    if (
      isChecked[policy](req) &&
      !(policy === 'navigation' && isNavigationWithinSite(req)) &&
      comesFromElsewhere(req, ownOrigin(), allowed)
    ) {
      next(new GatewayError('cross_site_request', 'The request was made by a page of another site'))
      return
    }
    next()
  }
}
