import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors.js'
import type { Middleware } from './endpoint/chain.js'
import { carriesGatewayCookie, cookieValue } from './cookies.js'

/**
 * When a request is checked for having been made by another site's page: `ambient` when a browser may have
 * added our cookies to an unsafe method by itself; `cookie` likewise, where no token of a header would count;
 * `always` for endpoints that give out cookies; `navigation` for those that do so when a link or button is
 * followed, which may also be on a page of the same site.
 */
export type CrossSitePolicy = 'ambient' | 'cookie' | 'always' | 'navigation'

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * Browsers add credentials of other schemes, such as Basic, by themselves; a bearer token only a program
 * adds.
 */
const hasBearer = (req: IncomingMessage) => /^bearer +\S/i.test(req.headers.authorization ?? '')

/**
 * A page of any site may open a WebSocket, and the browser adds cookies: it is no safe request, though its
 * method says so.
 */
const opensWebSocket = ({ headers }: IncomingMessage) =>
  headers.upgrade?.toLowerCase() === 'websocket' || headers['sec-websocket-key'] !== undefined // another proxy takes `Upgrade` away when it asks

const isCredentialAmbient = (req: IncomingMessage) =>
  cookieValue(req, 'auth_token') !== undefined || !hasBearer(req)

const carriesCookieUnsafely = (req: IncomingMessage) =>
  (!safeMethods.has(req.method ?? '') || opensWebSocket(req)) && carriesGatewayCookie(req)

const isChecked: Record<CrossSitePolicy, (req: IncomingMessage) => boolean> = {
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

/** Refuses what another site's page made the browser send (Fetch Metadata, else `Origin`). */
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
