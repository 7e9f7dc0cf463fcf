import { addressesIn } from '../domain/address-ranges.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import { disclosureOf, type Disclosure } from './caller-headers.js'
import { foldName, headerPolicies, type HeaderPolicy } from './header-names.js'
import { compileRules } from './header-rules.js'
import { createMapBack } from './map-back.js'
import type { HeaderSettings } from './request-headers.js'
import type { AnswerSettings } from './response-headers.js'
import type { Route, RouteTable } from './route-table.js'

/** Routes without header rules of their own share the cache of names. */
const shared = new WeakMap<RouteTable, (name: string) => HeaderPolicy>()

function policiesOf(table: RouteTable, alsoDropped: ReadonlySet<string>): (name: string) => HeaderPolicy {
  if (alsoDropped.size > 0)
    return headerPolicies(new Set([...alsoDropped, ...table.dropRequestHeaders.map(foldName)]))
  const policies = shared.get(table) ?? headerPolicies(new Set(table.dropRequestHeaders.map(foldName)))
  shared.set(table, policies)
  return policies
}

/** Returns whether a route only notes what it would decide. */
export const isWatching = ({ decide }: Pick<Route, 'decide'>) => decide === 'watch'

/**
 * Returns the parts of the caller's identity that a route discloses. A route that only watches discloses
 * none, since it has admitted no one.
 */
export const disclosureOfRoute = ({ tell, decide }: Route): Disclosure =>
  disclosureOf(isWatching({ decide }) ? [] : tell)

/** Returns the header rules of a route's requests. */
export function requestSettings(route: Route, table: RouteTable, trustProxy: number): HeaderSettings {
  const { dropped, added } = compileRules(
    foldName,
    table.upstreams[route.upstream]?.requestHeaders,
    route.requestHeaders,
  )
  return {
    trustProxy,
    keepAuthorization: route.auth === 'public' || route.credentials === 'pass',
    keepCookies: route.credentials === 'pass',
    keepPlace: route.credentials === 'pass' && (route.auth === 'public' || isWatching(route)),
    hidesPlaceProtocols: route.mandateFrom?.includes('subprotocol') === true && !isWatching(route),
    policyOf: policiesOf(table, dropped),
    added,
    strippedPrefix: route.strip && route.prefix !== '/' ? route.prefix : undefined,
    preservesHost: route.preserveHost,
    disclosure: disclosureOfRoute(route),
  }
}

/** Returns the header rules of a route's responses. */
export function answerSettings(route: Route, table: RouteTable): AnswerSettings {
  const upstream = table.upstreams[route.upstream]
  return {
    isPrivate: route.auth !== 'public' && !isWatching(route),
    keepCookies: route.credentials === 'pass',
    mapBack: createMapBack(route, upstream?.targets ?? []),
    ...compileRules((name) => name.toLowerCase(), upstream?.responseHeaders, route.responseHeaders),
  }
}

/** Refuses clients whose address is in none of the ranges (RFC 4632, RFC 4291 §2.3). */
function limitAddresses(ranges: string[]): Middleware {
  const admits = addressesIn(ranges)
  return (req, _res, next) => {
    if (!admits(req.state.clientAddress))
      throw new GatewayError('address_not_allowed', 'Requests from this address are not accepted here')
    next()
  }
}

/** Lets pages of `CORS_ORIGINS` read further headers of a response. */
function exposeHeaders(names: string[]): Middleware {
  const more = names.join(', ')
  return (_req, res, next) => {
    const exposed = res.getHeader('Access-Control-Expose-Headers')
    if (exposed !== undefined) res.setHeader('Access-Control-Expose-Headers', `${String(exposed)},${more}`)
    next()
  }
}

/** Returns the steps of a route before authentication. */
export function routeGates({ addresses, exposeHeaders: names }: Route): Middleware[] {
  return [...(names ? [exposeHeaders(names)] : []), ...(addresses ? [limitAddresses(addresses)] : [])]
}
