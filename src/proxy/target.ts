import type { Logger } from '../observability/logger.js'
import { createCircuitBreaker, type CircuitBreaker, type CircuitState } from './circuit-breaker.js'
import { connectorTo, labelOf, type Place } from './connect.js'
import type { Connections } from './connections.js'
import { checkHealth, type HealthCheck } from './health-check.js'
import { openConnections } from './open-connections.js'
import type { UpstreamSettings } from './upstream-schema.js'
import { openWays, type Load, type Target, type Ways } from './ways.js'

/** The state of a target, for operators. */
export interface TargetStatus {
  address: string
  state: CircuitState
  healthy: boolean
  /** Requests that wait for their response. */
  running: number
  /** Long responses, with WebSockets. */
  streams: number
}

/** A target, as its upstream uses it. */
export interface OwnTarget {
  /**
   * Returns how a request of a route may be sent now: normally, or as a probe; undefined while the target is
   * out of use.
   */
  offer: (route: object | undefined) => Target | undefined
  /** Returns the target for a request without another choice; undefined when it is known to be unhealthy. */
  offerAnyway: (route: object | undefined) => Target | undefined
  isBusy: () => boolean
  isIn: (tried: ReadonlySet<Target>) => boolean
  status: () => TargetStatus
  stopChecks: () => void
  pool: Connections
}

interface Options {
  /** The name of its upstream, for logs. */
  upstream: string
  place: Place
  settings: UpstreamSettings
  logger: Logger
  /** Milliseconds on a monotonic clock. */
  now: () => number
}

/** Returns the circuit of a target. */
function circuitOf({
  upstream,
  place,
  settings: { circuit, timeouts },
  logger,
  now,
}: Options): CircuitBreaker {
  const told = { upstream, address: labelOf(place) }
  return createCircuitBreaker({
    settings: circuit,
    now,
    probeMs: timeouts.connectMs + timeouts.headersMs,
    onChange: (state) => {
      if (state === 'open')
        logger.warn('a target fails: it is sent no requests for a while, unless there is no other', told)
      else if (state === 'half-open') logger.info('a target that failed is tried again', told)
      else logger.info('a target that failed is in use again', told)
    },
  })
}

/** Returns the circuit of a target for one route. Late responses open it. */
function latenessOf({
  upstream,
  place,
  settings: { circuit, timeouts },
  logger,
  now,
}: Options): CircuitBreaker {
  const told = { upstream, address: labelOf(place) }
  return createCircuitBreaker({
    settings: circuit,
    now,
    probeMs: timeouts.connectMs + timeouts.headersMs,
    onChange: (state) => {
      if (state === 'open')
        logger.warn(
          'a target is late with the answers of a route: it is sent none of its requests for a ' +
            'while, unless there is no other',
          told,
        )
      else if (state === 'closed') logger.info('a target answers a route in time again', told)
    },
  })
}

/** Begins to check a target's health, if its upstream says how. */
function checksOf(
  { upstream, place, settings, logger }: Options,
  breaker: CircuitBreaker,
): HealthCheck | undefined {
  const told = { upstream, address: labelOf(place) }
  const { health } = settings
  return (
    health &&
    checkHealth({
      origin: place.origin,
      connect: connectorTo(place, settings, health.timeoutMs),
      health,
      onChange: (isHealthy) => {
        if (isHealthy) {
          logger.info('a target is healthy again', told)
          breaker.close()
        } else logger.warn('a target is not healthy: it is sent no requests', told)
      },
    })
  )
}

/** Opens a target, and begins to check its health, if the upstream says how. */
export function openTarget(options: Options): OwnTarget {
  const {
    place,
    settings: { limits },
  } = options
  const most = limits.connections ?? Infinity
  const address = labelOf(place)
  const pool = openConnections(options)
  const load: Load = { running: 0, streams: 0 }
  const breaker = circuitOf(options)
  const checks = checksOf(options, breaker)
  const isHealthy = () => checks === undefined || checks.isHealthy()

  const byRoute = new Map<object | undefined, Ways & { lateness: CircuitBreaker }>()
  const waysOf = (route: object | undefined) => {
    const known = byRoute.get(route)
    if (known) return known
    const lateness = latenessOf(options)
    const ways = { lateness, ...openWays({ address, pool, load, limits, breaker, lateness }) }
    byRoute.set(route, ways)
    return ways
  }

  return {
    offer: (route) => {
      if (!isHealthy()) return undefined
      const { usual, probe, lateness, lateProbe } = waysOf(route)
      if (!breaker.isClosed()) return breaker.mayProbe() ? probe : undefined
      if (lateness.isClosed()) return usual
      return lateness.mayProbe() ? lateProbe : undefined
    },
    offerAnyway: (route) => (isHealthy() ? waysOf(route).anyway : undefined),
    isBusy: () => load.running >= limits.requests || load.running + load.streams >= most,
    isIn: (tried) => [...tried].some((target) => target.pool === pool),
    status: () => ({ address, state: breaker.state(), healthy: isHealthy(), ...load }),
    stopChecks: () => checks?.stop(),
    pool,
  }
}
