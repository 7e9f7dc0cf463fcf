import type { Logger } from '../observability/logger.js'
import { openRoutes } from './open-routes.js'
import type { RouteTable } from './route-table.js'
import { openUpstreams, type Upstreams } from './upstreams.js'

/** The route table in force, and the connections to its upstreams. A new table replaces the whole. */
export interface LiveRoutes {
  current: () => { table: RouteTable; upstreams: Upstreams }
  /** Requests under way end on the old table. */
  replace: (table: RouteTable) => void
  close: () => Promise<void>
}

/** How long requests that an earlier table matched, and that are still being decided, may be sent. */
const retireAfterMs = 30_000

/** Puts a route table in force. `demoUrl` is the address of the demo upstream, if it runs. */
export function liveRoutes(
  first: RouteTable,
  { demoUrl, logger }: { demoUrl: string | undefined; logger: Logger },
): LiveRoutes {
  const open = (table: RouteTable) => {
    for (const warning of openRoutes(table)) logger.warn(warning)
    return { table, upstreams: openUpstreams(table.upstreams, { demoUrl, logger }) }
  }
  let live = open(first)
  const retired = new Set<Upstreams>()
  return {
    current: () => live,
    replace: (table) => {
      const old = live.upstreams
      live = open(table)
      retired.add(old)
      setTimeout(() => {
        void old.retire().finally(() => retired.delete(old))
      }, retireAfterMs).unref()
    },
    close: async () => {
      await Promise.all([live.upstreams, ...retired].map((upstreams) => upstreams.close()))
    },
  }
}
