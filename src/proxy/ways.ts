import type { CircuitBreaker, Outcome } from './circuit-breaker.js'
import type { Connections } from './connections.js'
import type { UpstreamSettings } from './upstream-schema.js'

/** One place that an upstream runs at. `begin` and `end` frame each request that is sent there. */
export interface Target {
  /** `host:port`, for logs. */
  readonly address: string
  readonly pool: Connections
  /** A request is sent there. To be called in the same turn as the `next` that gave the target. */
  begin: () => void
  /** It has begun to answer. */
  answered: () => void
  /**
   * Its answer goes on for a while. Returns whether it counts as a stream from now on: there may be too many.
   */
  stream: () => boolean
  /** It has ended; without an outcome where that was told before. */
  end: (outcome: Outcome | undefined, isStream?: boolean) => void
}

/** What is under way to a target. */
export interface Load {
  running: number
  streams: number
}

/** The ways to a target for the requests of one route, which differ in what the end of a request says. */
export interface Ways {
  usual: Target
  /** To find out whether a target that failed is back. */
  probe: Target
  /** To find out whether a target that was too late for this route is in time again. */
  lateProbe: Target
  /** For a request that has no other place to go to. */
  anyway: Target
}

interface Options {
  address: string
  pool: Connections
  load: Load
  limits: UpstreamSettings['limits']
  /** The target's circuit. */
  breaker: CircuitBreaker
  /** The circuit of the target for one route, opened by answers that come too late. */
  lateness: CircuitBreaker
}

/** `true` well, `false` badly; `undefined` where the outcome says nothing of the target. */
const isWell = (outcome: Outcome) => (outcome === 'cut' ? undefined : outcome === 'answered')

/**
 * Returns the ways to a target for one route. An answer that is late is the route's own fault, not the
 * target's: only it is counted there.
 */
export function openWays({ address, pool, load, limits, breaker, lateness }: Options): Ways {
  const way = (judge: (outcome: Outcome) => void, begin?: () => void): Target => ({
    address,
    pool,
    begin: () => {
      load.running += 1
      begin?.()
    },
    answered: () => judge('answered'),
    stream: () => {
      if (load.streams >= limits.streams) return false
      load.running -= 1
      load.streams += 1
      return true
    },
    end: (outcome, isStream = false) => {
      if (isStream) load.streams -= 1
      else load.running -= 1
      if (outcome !== undefined) judge(outcome)
    },
  })
  return {
    usual: way((outcome) => {
      if (outcome === 'cut') return
      if (outcome !== 'late') breaker.count(outcome === 'answered')
      if (outcome !== 'failed') lateness.count(outcome === 'answered')
    }),
    probe: way((outcome) => breaker.endProbe(isWell(outcome)), breaker.beginProbe),
    lateProbe: way((outcome) => {
      lateness.endProbe(isWell(outcome))
      if (outcome === 'failed') breaker.count(false)
    }, lateness.beginProbe),
    anyway: way((outcome) => {
      if (outcome !== 'answered') return
      breaker.close()
      lateness.close()
    }),
  }
}
