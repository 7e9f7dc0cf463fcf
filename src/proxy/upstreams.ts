import { Pool } from 'undici'
import { GatewayError } from '../errors.js'
import type { RouteFile } from './route-schema.js'

/** Requests at a time to one target. One more is refused at once: to wait in a line that may never move helps nobody. */
const requestsPerTarget = 512

/** One place that an upstream runs at. `begin` and `end` frame each request that is sent there. */
export interface Target {
  pool: Pool
  begin: () => void
  end: () => void
}

/** The targets of the upstreams of one route table, each with its pool of connections. */
export interface Upstreams {
  /** The next target of an upstream, in turn. Throws `upstream_unavailable` when it has none, `overloaded` when all are busy. */
  next: (name: string) => Target
  /** Cuts what is under way and closes the connections. */
  close: () => Promise<void>
}

type Timeouts = RouteFile['upstreams'][string]['timeouts']

function openTarget(address: string, timeouts: Timeouts): Target & { isBusy: () => boolean } {
  let running = 0
  return {
    pool: new Pool(address, {
      connections: requestsPerTarget,
      connect: { timeout: timeouts.connectMs },
      headersTimeout: timeouts.headersMs,
      bodyTimeout: timeouts.bodyMs,
      keepAliveTimeout: 4000,
    }),
    begin: () => { running += 1 },
    end: () => { running -= 1 },
    isBusy: () => running >= requestsPerTarget,
  }
}

/** Opens the pools; `demoUrl` is where the demo upstream listens, if it runs. */
export function openUpstreams(upstreams: RouteFile['upstreams'], demoUrl: string | undefined): Upstreams {
  const byName = new Map(Object.entries(upstreams).map(([name, { targets: addresses, timeouts }]) => {
    const reachable = addresses.flatMap((address) => address === 'demo' ? (demoUrl === undefined ? [] : [demoUrl]) : [address])
    return [name, { targets: reachable.map((address) => openTarget(address, timeouts)), turn: 0 }]
  }))
  return {
    next: (name) => {
      const { targets, turn } = byName.get(name) ?? { targets: [], turn: 0 }
      for (let tried = 0; tried < targets.length; tried += 1) {
        const target = targets[(turn + tried) % targets.length]
        if (!target || target.isBusy()) continue
        const upstream = byName.get(name)
        if (upstream) upstream.turn = (turn + tried + 1) % targets.length
        return target
      }
      throw targets.length === 0
        ? new GatewayError('upstream_unavailable', 'There is no target to send this request to')
        : new GatewayError('overloaded', 'The service behind the gateway has as many requests as it may. Try again shortly.')
    },
    close: async () => {
      await Promise.all([...byName.values()].flatMap(({ targets }) => targets.map(({ pool }) => pool.destroy())))
    },
  }
}
