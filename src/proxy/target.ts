import type { Pool } from 'undici'
import type { Logger } from '../observability/logger.js'
import { createCircuitBreaker, type CircuitState, type Outcome } from './circuit-breaker.js'
import { checkHealth } from './health-check.js'
import { openPool, requestsPerTarget } from './open-pool.js'
import type { RouteFile } from './route-schema.js'

/** One place that an upstream runs at. `begin` and `end` frame each request that is sent there. */
export interface Target {
  /** `host:port`, for logs. */
  readonly address: string
  readonly pool: Pool
  /** A request is sent there. To be called in the same turn as the `next` that gave the target. */
  begin: () => void
  /** It has begun to answer, and may go on for long. */
  answered: () => void
  /** It has ended. */
  end: (outcome: Outcome) => void
}

/** What operators see of a target. */
export interface TargetStatus {
  address: string
  state: CircuitState
  healthy: boolean
  /** Requests under way. */
  running: number
}

/** A target as its upstream sees it, which decides whether it is sent a request. */
export interface OwnTarget {
  /** What a request may go through now: the target, the same as a probe, or nothing while it is out of use. */
  offer: () => Target | undefined
  isBusy: () => boolean
  isIn: (tried: ReadonlySet<Target>) => boolean
  /** How long it is out of use, at most, as far as that is known. */
  usableInMs: () => number
  status: () => TargetStatus
  stopChecks: () => void
  pool: Pool
}

interface Options {
  /** The name of its upstream, for logs. */
  upstream: string
  /** Its origin. */
  url: string
  settings: RouteFile['upstreams'][string]
  logger: Logger
  /** Milliseconds on a monotonic clock. */
  now: () => number
}

function addressOf(url: string): string {
  const { hostname, port, protocol } = new URL(url)
  return `${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`
}

/** Opens a target's pool, and begins to check its health where the upstream says how. */
export function openTarget({ upstream, url, settings: { timeouts, health }, logger, now }: Options): OwnTarget {
  const address = addressOf(url)
  const pool = openPool(url, timeouts)
  const told = { upstream, address }
  let running = 0

  const breaker = createCircuitBreaker({
    now,
    probeMs: timeouts.connectMs + timeouts.headersMs,
    onChange: (state) => {
      if (state === 'open') logger.warn('a target fails: it is sent no requests for a while', told)
      else if (state === 'half-open') logger.info('a target that failed is tried again', told)
      else logger.info('a target that failed is in use again', told)
    },
  })
  const checks = health && checkHealth({
    url, health,
    onChange: (isHealthy) => {
      if (isHealthy) {
        logger.info('a target is healthy again', told)
        breaker.close()
      } else logger.warn('a target is not healthy: it is sent no requests', told)
    },
  })
  const isHealthy = () => checks === undefined || checks.isHealthy()

  /** Counts a request as under way, and tells the breaker of it. */
  const countedBy = (begin: (() => void) | undefined, end: (outcome: Outcome) => void): Target => ({
    address, pool,
    begin: () => {
      running += 1
      begin?.()
    },
    answered: () => end('answered'),
    end: (outcome) => {
      running -= 1
      end(outcome)
    },
  })
  const usual = countedBy(undefined, breaker.count)
  // A target of its own, so that the end of the probe is told from the ends of what was sent before the circuit opened.
  const probe = countedBy(breaker.beginProbe, breaker.endProbe)

  return {
    offer: () => {
      if (!isHealthy()) return undefined
      if (breaker.isClosed()) return usual
      return breaker.mayProbe() ? probe : undefined
    },
    isBusy: () => running >= requestsPerTarget,
    isIn: (tried) => tried.has(usual) || tried.has(probe),
    usableInMs: () => isHealthy() ? breaker.probeInMs() : health?.intervalMs ?? 0,
    status: () => ({ address, state: breaker.state(), healthy: isHealthy(), running }),
    stopChecks: () => checks?.stop(),
    pool,
  }
}
