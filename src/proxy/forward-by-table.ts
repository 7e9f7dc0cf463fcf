import type { Streams } from '../coherence/streams.js'
import { GatewayError } from '../errors.js'
import { chain, type Middleware } from '../http/endpoint/chain.js'
import type { Counts } from '../http/limits/counts.js'
import { limitConcurrency } from '../http/limits/limit-concurrency.js'
import { countingKeys, limitRoute, limitRouteConcurrency } from '../http/limits/limit-rate.js'
import type { Admit, Policy } from '../http/endpoint/policy.js'
import { forwardTo } from './forward.js'
import type { IdentityFor } from './identity.js'
import type { LiveRoutes } from './live-routes.js'
import { answerSettings, requestSettings, routeGates } from './route-settings.js'
import type { Route, RouteTable } from './route-table.js'
import type { Upstreams } from './upstreams.js'

interface Dependencies {
  routes: LiveRoutes
  admit: Admit
  streams: Streams
  identityFor: IdentityFor
  counts: Pick<Counts, 'each'>
  trustProxy: number
}

const keys = countingKeys({
  callerOf: (req) => req.state.principal?.user.id ?? req.state.portalClient?.id,
  mandateOf: (req) => req.state.context?.mandateId ?? req.state.portalClient?.mandateId,
})

/** The limits of a route are shared by all ways to ask for it. */
const counters = new WeakMap<Route, Middleware[]>()

const concurrencyLimits = (concurrency: Route['concurrency']): Middleware[] => {
  if (!concurrency) return []
  const { limit, by } = concurrency
  return by === 'route' ? [limitConcurrency({ limit })] : limitRouteConcurrency(limit, keys[by])
}

/** The limits of a route's own, in the order in which they are asked. */
export function routeLimits(route: Route, counts: Pick<Counts, 'each'>): Middleware[] {
  const { name, rateLimit, concurrency } = route
  const limits = counters.get(route) ?? [
    ...(rateLimit ? limitRoute(name, rateLimit.limit, keys[rateLimit.by], counts) : []),
    ...concurrencyLimits(concurrency),
  ]
  counters.set(route, limits)
  return limits
}

/** Returns the policy of a route. */
export function policyOf({
  auth,
  mandate,
  instance,
  guard,
  permission,
  assurance,
  mandateFrom,
  prefix,
  decide,
}: Route): Policy {
  return {
    auth,
    mandate,
    instance,
    prefix,
    decide,
    ...(guard ? { guard } : {}),
    ...(permission ? { permission } : {}),
    ...(assurance ? { assurance } : {}),
    ...(mandateFrom ? { mandateFrom } : {}),
  }
}

/**
 * Refuses TRACE: its response would hold everything that was sent, with the caller's identity. Throws
 * `method_not_allowed`.
 */
export function refuseTrace(method: string): void {
  if (method === 'TRACE')
    throw new GatewayError('method_not_allowed', 'TRACE is not served', {
      headers: { Allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' },
    })
}

/** Forwards requests that a route matches, after the admission of its policy. Passes on the others. */
export function forwardByTable({
  routes,
  admit,
  streams,
  identityFor,
  counts,
  trustProxy,
}: Dependencies): Middleware {
  const lanes = new WeakMap<Route, Middleware>()
  const laneOf = (route: Route, { table, upstreams }: { table: RouteTable; upstreams: Upstreams }) => {
    const known = lanes.get(route)
    if (known) return known
    const { steps, again } = admit(policyOf(route), 'ambient')
    const settings = table.upstreams[route.upstream]
    const shared = {
      route,
      upstreams,
      streams,
      again,
      answers: answerSettings(route, table),
      callers: upstreams.callers(route.upstream),
      callerOf: keys.user,
      idleMs: settings?.timeouts.idleMs ?? 0,
      leastBodyRate: settings?.limits.leastBodyRate ?? { bytesPerSecond: 0, windowMs: 1 },
    }
    const lane = chain(
      ...routeGates(route),
      ...steps,
      ...routeLimits(route, counts),
      forwardTo(shared, identityFor, requestSettings(route, table, trustProxy)),
    )
    lanes.set(route, lane)
    return lane
  }
  return (req, res, next) => {
    const live = routes.current()
    const route = live.table.match(req.state.pathname, req.state.requestedHost)
    if (!route) {
      next()
      return
    }
    req.state.routePattern = route.name
    refuseTrace(req.method)
    laneOf(route, live)(req, res, next)
  }
}
