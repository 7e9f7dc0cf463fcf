import { Pool } from 'undici'
import { GatewayError } from '../errors.js'
import type { RouteFile } from './route-schema.js'

/** Connections to one target. */
const connectionsPerTarget = 256

/** The targets of the upstreams of one route table, each with its pool of connections. */
export interface Upstreams {
  /** The next target of an upstream, in turn. Throws `upstream_unavailable` when there is none. */
  next: (name: string) => Pool
  /** Lets what is under way end, then closes the connections. */
  close: () => Promise<void>
}

/** Opens the pools; `demoUrl` is where the demo upstream listens, if it runs. */
export function openUpstreams(upstreams: RouteFile['upstreams'], demoUrl: string | undefined): Upstreams {
  const targets = new Map(Object.entries(upstreams).map(([name, { targets: addresses, timeouts }]) => {
    const reachable = addresses.flatMap((address) => address === 'demo' ? (demoUrl === undefined ? [] : [demoUrl]) : [address])
    const pools = reachable.map((address) => new Pool(address, {
      connections: connectionsPerTarget,
      connect: { timeout: timeouts.connectMs },
      headersTimeout: timeouts.headersMs,
      bodyTimeout: timeouts.bodyMs,
      keepAliveTimeout: 4000,
    }))
    return [name, { pools, turn: 0 }]
  }))
  return {
    next: (name) => {
      const upstream = targets.get(name)
      const pool = upstream?.pools[upstream.turn++ % upstream.pools.length]
      if (!pool) throw new GatewayError('upstream_unavailable', 'There is no target to send this request to')
      return pool
    },
    close: async () => {
      await Promise.all([...targets.values()].flatMap(({ pools }) => pools.map((pool) => pool.close())))
    },
  }
}
