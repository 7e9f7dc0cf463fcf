import { chain, type Middleware } from '../http/chain.js'
import { limitRoute } from '../http/limit-rate.js'
import type { Admit, Policy } from '../http/policy.js'
import { forwardTo } from './forward.js'
import type { Route, RouteTable } from './route-table.js'
import { openUpstreams, type Upstreams } from './upstreams.js'

/** The route table that is in force, and the connections to its upstreams. A new one takes its place as a whole. */
export interface LiveRoutes {
  current: () => { table: RouteTable; upstreams: Upstreams }
  /** Requests under way end on the old table. */
  replace: (table: RouteTable) => void
  close: () => Promise<void>
}

/** How long the connections of a former table stay: longer than requests usually take. */
const retireAfterMs = 10 * 60_000

/** Puts a route table in force. */
export function liveRoutes(first: RouteTable, demoUrl: string | undefined): LiveRoutes {
  const open = (table: RouteTable) => ({ table, upstreams: openUpstreams(table.upstreams, demoUrl) })
  let live = open(first)
  const retired = new Set<Upstreams>()
  return {
    current: () => live,
    replace: (table) => {
      const old = live.upstreams
      live = open(table)
      retired.add(old)
      setTimeout(() => {
        retired.delete(old)
        void old.close()
      }, retireAfterMs).unref()
    },
    close: async () => {
      await Promise.all([live.upstreams, ...retired].map((upstreams) => upstreams.close()))
    },
  }
}

/** Forwards what a route claims, behind what `admit` makes of its policy; passes on what none does. */
export function forwardByTable(routes: LiveRoutes, admit: Admit, trustProxy: number): Middleware {
  const lanes = new WeakMap<Route, Middleware>()
  const laneOf = (route: Route, upstreams: Upstreams) => {
    const known = lanes.get(route)
    if (known) return known
    const lane = chain(
      ...admit(policyOf(route), 'ambient'),
      limitRoute(route.prefix, route.rateLimit, (req) => req.principal?.user.id),
      forwardTo(route, upstreams, trustProxy),
    )
    lanes.set(route, lane)
    return lane
  }
  return (req, res, next) => {
    const { table, upstreams } = routes.current()
    const route = table.match(req.pathname)
    if (!route) {
      next()
      return
    }
    req.routePattern = route.prefix
    laneOf(route, upstreams)(req, res, next)
  }
}

function policyOf({ auth, mandate, instance, guard, permission }: Route): Policy {
  return { auth, mandate, instance, ...(guard ? { guard } : {}), ...(permission ? { permission } : {}) }
}
