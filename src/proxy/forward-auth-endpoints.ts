import { METHODS } from 'node:http'
import type { Request } from 'express'
import { GatewayError } from '../errors.js'
import { chain, type Middleware } from '../http/endpoint/chain.js'
import type { Counts } from '../http/limits/counts.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { endWithout } from '../http/head.js'
import { checkQuery, normalisePath } from '../http/normalise-path.js'
import { signedInSomewhere, type Admit } from '../http/endpoint/policy.js'
import { disclosureOf, pushCallerHeaders } from './caller-headers.js'
import { policyOf, refuseTrace, routeLimits } from './forward-by-table.js'
import type { IdentityFor } from './identity.js'
import type { LiveRoutes } from './live-routes.js'
import { disclosureOfRoute, routeGates } from './route-settings.js'
import type { Route } from './route-table.js'

const verifyPath = '/auth/verify'

interface Dependencies {
  routes: LiveRoutes
  admit: Admit
  identityFor: IdentityFor
  counts: Pick<Counts, 'each'>
  trustProxy: number
}

/** The request that another proxy asks about. */
interface Original {
  method: string
  uri: string
}

/** The headers of nginx (as it is configured to) and of Traefik. */
const families = [
  ['x-original-uri', 'x-original-method'],
  ['x-forwarded-uri', 'x-forwarded-method'],
] as const

/**
 * Returns the request that the proxy names: nginx in `X-Original-*`, Traefik in `X-Forwarded-*`, Envoy by the
 * method and the path below `/auth/verify`. Undefined when none is named.
 */
function originalOf(req: Request): Original | undefined {
  const named = families.filter((family) => family.some((name) => req.headers[name] !== undefined))
  if (req.state.pathname !== verifyPath) {
    // Here a header can only come from the client.
    if (named.length > 0)
      throw new GatewayError(
        'header_ambiguous',
        'The request that is asked about is named by the path and by headers',
      )
    return { method: req.method, uri: req.state.pathname.slice(verifyPath.length) + req.state.search }
  }
  const originals = named.map(([uri, method]) => ({ uri: req.headers[uri], method: req.headers[method] }))
  const [first, second] = originals
  if (!first) return undefined
  if (second && (second.uri !== first.uri || second.method !== first.method))
    throw new GatewayError('header_ambiguous', 'X-Original-* and X-Forwarded-* name different requests')
  const { uri, method } = first
  if (typeof uri !== 'string' || typeof method !== 'string')
    throw new GatewayError(
      'request_malformed',
      'Name the original request in both X-Original-URI and X-Original-Method, ' +
        'or in both X-Forwarded-Uri and X-Forwarded-Method',
    )
  return { method, uri }
}

/** From here on the request is the one that is asked about. */
function becomeOriginal(req: Request, { method, uri }: Original): void {
  refuseTrace(method)
  if (!METHODS.includes(method) || method === 'CONNECT')
    throw new GatewayError('request_malformed', 'The original method is none that is served')
  const query = uri.indexOf('?')
  req.method = method
  const search = query === -1 ? '' : uri.slice(query)
  req.state.settlePath(normalisePath(query === -1 ? uri : uri.slice(0, query)), search)
  checkQuery(search)
}

function answerCaller(identityFor: IdentityFor, route: Route): Middleware {
  const { upstream } = route
  const disclosure = disclosureOfRoute(route)
  return async (req, res) => {
    const headers = ['Cache-Control', 'no-store', 'Content-Length', '0']
    const { context, accessLevel } = req.state
    const caller = disclosure.identity ? (req.state.principal ?? req.state.portalClient) : undefined
    const identity = caller && (await identityFor({ caller, context, accessLevel, upstream, disclosure }))
    pushCallerHeaders(headers, req, { disclosure, identity, from: 0 })
    endWithout(res, 200, headers)
  }
}

/**
 * Decides for another proxy, by the route table, on the request that it holds (nginx `auth_request`, Traefik
 * ForwardAuth, Envoy ext_authz over HTTP). Responds 200 with the caller's headers, else 401, 403 or 503.
 * Passes on everything else, and `/auth/verify` itself when no other request is named.
 */
export function verifyForProxies({
  routes,
  admit,
  identityFor,
  counts,
  trustProxy,
}: Dependencies): Middleware {
  const lanes = new WeakMap<Route, Middleware>()
  const laneOf = (route: Route) => {
    const lane =
      lanes.get(route) ??
      chain(
        ...routeGates(route),
        ...admit(policyOf(route), 'ambient').steps,
        ...routeLimits(route, counts),
        answerCaller(identityFor, route),
      )
    lanes.set(route, lane)
    return lane
  }
  return (req, res, next) => {
    if (req.state.pathname !== verifyPath && !req.state.pathname.startsWith(`${verifyPath}/`)) {
      next()
      return
    }
    req.state.routePattern = verifyPath
    req.state.errorForm = 'verify'
    const original = originalOf(req)
    if (!original) {
      next()
      return
    }
    if (trustProxy === 0)
      throw new GatewayError(
        'permission_denied',
        'What a proxy says of a request is believed only from trusted ones: ' +
          'set TRUST_PROXY to the number of proxies in front',
      )
    becomeOriginal(req, original)
    const route = routes.current().table.match(req.state.pathname, req.state.requestedHost)
    if (!route) throw new GatewayError('not_found', 'There is nothing at this path')
    laneOf(route)(req, res, next)
  }
}

/** `/auth/verify` for a request that names no other: it verifies the caller's token and context. */
export function verifyEndpoints(): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: verifyPath,
      summary:
        'Decide for another proxy on the request that it holds, named in X-Original-Method and X-Original-URI ' +
        '(or X-Forwarded-Method and -Uri, or by the path below); answers the identity headers',
      access: signedInSomewhere,
      errors: 'verify',
      answers: { 200: null },
      handle: ({ req, res }) => {
        pushCallerHeaders(res.pendingHeaders, req, { disclosure: disclosureOf(undefined), from: 0 })
        return { status: 200 }
      },
    }),
  ]
}
