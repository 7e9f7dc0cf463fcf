import { GatewayError } from '../errors.js'
import type { Logger } from '../observability/logger.js'
import { createCallers, type Callers } from './callers.js'
import { createRetryBudget, type RetryBudget } from './retry-budget.js'
import type { RouteFile } from './route-schema.js'
import type { TargetStatus } from './target.js'
import { openTargets, type Targets } from './targets.js'
import type { UpstreamSettings } from './upstream-schema.js'
import type { Target } from './ways.js'

export type { Target } from './ways.js'

/** The state of an upstream, for operators. */
export interface UpstreamStatus {
  name: string
  targets: TargetStatus[]
}

/** The targets of the upstreams of one route table, each with its connections. */
export interface Upstreams {
  /**
   * Returns the next usable target of an upstream for a request of `route`, in turn; never one of `except`,
   * which were tried for this request. Throws `upstream_unavailable` without any, and `overloaded` when all
   * are busy.
   */
  next: (name: string, route?: object, except?: ReadonlySet<Target>) => Target
  /** The open requests of each caller at an upstream. */
  callers: (name: string) => Callers
  /** Takes one retry from the upstream's budget. Returns whether there was one. */
  mayRetry: (name: string) => boolean
  status: () => UpstreamStatus[]
  /** Gives out no more targets, waits for open requests, then closes the connections. */
  retire: () => Promise<void>
  /** Cuts open requests and closes the connections. */
  close: () => Promise<void>
}

interface Options {
  /** The address of the demo upstream, if it runs. */
  demoUrl: string | undefined
  logger: Logger
  /** Milliseconds on a monotonic clock. */
  now?: () => number
}

interface Upstream {
  targets: Targets
  callers: Callers
  /** The index of the target that is asked first next time. */
  turn: number
  budget: RetryBudget
}

function unavailable(health: UpstreamSettings['health']): GatewayError {
  return new GatewayError('upstream_unavailable', 'There is no target to send this request to', {
    headers: health ? { 'Retry-After': String(Math.max(1, Math.ceil(health.intervalMs / 1000))) } : {},
  })
}

const overloaded = () =>
  new GatewayError(
    'overloaded',
    'The service behind the gateway has as many requests as it may. Try again shortly.',
  )

/** Runs before each forwarded request, so it allocates nothing unless it fails. */
function nextOf(
  upstream: Upstream,
  route: object | undefined,
  except: ReadonlySet<Target> | undefined,
  anyway: boolean,
): Target {
  const {
    targets: { current, settings },
    turn,
  } = upstream
  let [isBusy, isOut] = [false, false]
  for (let asked = 0; asked < current.length; asked += 1) {
    const own = current[(turn + asked) % current.length]
    if (!own || (except !== undefined && own.isIn(except))) continue
    const target = anyway ? own.offerAnyway(route) : own.offer(route)
    if (!target) {
      isOut = true
      continue
    }
    if (own.isBusy()) {
      isBusy = true
      continue
    }
    upstream.turn = (turn + asked + 1) % current.length
    if (except === undefined || except.size === 0) upstream.budget.earn()
    return target
  }
  // When all targets fail, each may still serve some requests. Sending none would be worse.
  if (isOut && !isBusy && !anyway && except === undefined) return nextOf(upstream, route, except, true)
  throw isBusy ? overloaded() : unavailable(settings.health)
}

/** Opens the targets of the upstreams and begins the health checks. */
export function openUpstreams(
  upstreams: RouteFile['upstreams'],
  { demoUrl, logger, now = () => performance.now() }: Options,
): Upstreams {
  const byName = new Map<string, Upstream>(
    Object.entries(upstreams).map(([name, settings]) => [
      name,
      {
        targets: openTargets({ upstream: name, settings, demoUrl, logger, now }),
        callers: createCallers(settings.limits),
        turn: 0,
        budget: createRetryBudget(settings.limits.requests),
      },
    ]),
  )
  const opened = [...byName.values()].map(({ targets }) => targets)
  const upstreamOf = (name: string) => {
    const upstream = byName.get(name)
    if (!upstream) throw unavailable(undefined)
    return upstream
  }
  return {
    next: (name, route, except) => nextOf(upstreamOf(name), route, except, false),
    callers: (name) => upstreamOf(name).callers,
    mayRetry: (name) => byName.get(name)?.budget.spend() ?? false,
    status: () =>
      [...byName].map(
        ([
          name,
          {
            targets: { current },
          },
        ]) => ({ name, targets: current.map(({ status }) => status()) }),
      ),
    retire: async () => {
      byName.clear()
      await Promise.all(opened.map((targets) => targets.retire()))
    },
    close: async () => {
      byName.clear()
      await Promise.all(opened.map((targets) => targets.close()))
    },
  }
}
