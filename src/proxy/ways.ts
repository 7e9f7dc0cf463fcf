import type { CircuitBreaker, Outcome } from './circuit-breaker.js'
import type { Connections } from './connections.js'
import type { UpstreamSettings } from './upstream-schema.js'

/** A target of an upstream. Call `begin` and `end` around each request that is sent to it. */
export interface Target {
  /** `host:port`, for logs. */
  readonly address: string
  readonly pool: Connections
  /** Call it when a request is sent, in the same turn as the `next` that returned the target. */
  begin: () => void
  /** Call it when the target has begun to respond. */
  answered: () => void
  /**
   * Call it when the response goes on for a while. Returns whether it counts as a stream from now on; there
   * may be too many.
   */
  stream: () => boolean
  /** Call it when the request has ended; without an outcome when that was reported before. */
  end: (outcome: Outcome | undefined, isStream?: boolean) => void
}

/** The open requests and streams of a target. */
export interface Load {
  running: number
  streams: number
}

/** The ways to a target for the requests of one route. They differ in what the end of a request means. */
export interface Ways {
  usual: Target
  /** A probe, to find out whether a target that failed is back. */
  probe: Target
  /** A probe, to find out whether a target that was too late for this route is in time again. */
  lateProbe: Target
  /** For a request without another target. */
  anyway: Target
}

interface Options {
  address: string
  pool: Connections
  load: Load
  limits: UpstreamSettings['limits']
  /** The target's circuit. */
  breaker: CircuitBreaker
  /** The circuit of the target for one route. Late responses open it. */
  lateness: CircuitBreaker
}

/** `true` for success, `false` for failure; `undefined` when the outcome says nothing about the target. */
const isWell = (outcome: Outcome) => (outcome === 'cut' ? undefined : outcome === 'answered')

/**
 * Returns the ways to a target for one route. A late response counts for the route only, not for the target.
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
