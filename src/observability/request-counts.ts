import type { AccessLine, Tier } from './access-line.js'

/** Upper bounds of the latency buckets, seconds. */
export const latencyBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const tiers: readonly Tier[] = ['none', 'member', 'platform']
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const
const otherMethod = methods.length - 1
const methodIndex = new Map<string, number>(
  methods.slice(0, otherMethod).map((method, index) => [method, index]),
)
const boundsMs = latencyBounds.map((seconds) => seconds * 1000)
/** The bound of `byRoute`. Route files change; each names a few hundred routes. */
const mostRoutes = 2000

/**
 * The requests of one route, counted in place: nothing is allocated for a request that is like one before.
 */
export class RouteCounts {
  private readonly outcomes = new Map<number, number>()
  /** How many requests fell into each bucket, those beyond the last bound included. */
  readonly buckets = new Float64Array(boundsMs.length + 1)
  sumMs = 0
  /** By what a route that only watches would have decided. */
  readonly watched = new Map<string, number>()

  count({
    method,
    status,
    ms,
    tier,
    watched,
  }: Pick<AccessLine, 'method' | 'status' | 'ms' | 'tier' | 'watched'>): void {
    if (watched !== undefined) this.watched.set(watched, (this.watched.get(watched) ?? 0) + 1)
    const outcome =
      (status * methods.length + (methodIndex.get(method) ?? otherMethod)) * tiers.length +
      tiers.indexOf(tier)
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    if (status === 101) return // how long a WebSocket lasts is no latency
    let bucket = 0
    while (bucket < boundsMs.length && ms > (boundsMs[bucket] ?? 0)) bucket += 1
    this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1
    this.sumMs += ms
  }

  *byOutcome(): Generator<{ method: string; status: string; tier: Tier; count: number }> {
    for (const [outcome, count] of this.outcomes) {
      const rest = Math.floor(outcome / tiers.length)
      yield {
        method: methods[rest % methods.length] ?? 'other',
        status: String(Math.floor(rest / methods.length)),
        tier: tiers[outcome % tiers.length] ?? 'none',
        count,
      }
    }
  }
}

/** Counts of all requests of this process. */
export interface RequestCounts {
  count: (line: AccessLine) => void
  /** By the pattern of the endpoint or route; `none` where there was none. */
  byRoute: ReadonlyMap<string, RouteCounts>
  /** By the code of the refusal; '' for those that were granted. */
  byReason: ReadonlyMap<string, number>
}

/** Returns empty counts. */
export function countRequests(): RequestCounts {
  const byRoute = new Map<string, RouteCounts>()
  const byReason = new Map<string, number>()
  const begin = (route: string): RouteCounts => {
    if (byRoute.size >= mostRoutes && route !== 'other') return byRoute.get('other') ?? begin('other')
    const counts = new RouteCounts()
    byRoute.set(route, counts)
    return counts
  }
  return {
    byRoute,
    byReason,
    count: (line) => {
      const route = line.route ?? 'none'
      const counts = byRoute.get(route) ?? begin(route)
      counts.count(line)
      const reason = line.reason ?? ''
      byReason.set(reason, (byReason.get(reason) ?? 0) + 1)
    },
  }
}
