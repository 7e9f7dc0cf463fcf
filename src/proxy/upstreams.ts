import { GatewayError } from '../errors.js'
import type { Logger } from '../observability/logger.js'
import { createRetryBudget, type RetryBudget } from './retry-budget.js'
import type { RouteFile } from './route-schema.js'
import { openTarget, type OwnTarget, type Target, type TargetStatus } from './target.js'

export type { Target } from './target.js'

/** What operators see of an upstream. */
export interface UpstreamStatus {
  name: string
  targets: TargetStatus[]
}

/** The targets of the upstreams of one route table, each with its pool of connections. */
export interface Upstreams {
  /**
   * The next usable target of an upstream, in turn; never one of `except`, which were tried already for this request.
   * Throws `upstream_unavailable` when there is none, `overloaded` when all of them are busy.
   */
  next: (name: string, except?: ReadonlySet<Target>) => Target
  /** Whether one more retry is within the upstream's budget; takes it from the budget if so. */
  mayRetry: (name: string) => boolean
  status: () => UpstreamStatus[]
  /** Gives out no more targets, lets what is under way end, then closes the connections. */
  retire: () => Promise<void>
  /** Cuts what is under way and closes the connections. */
  close: () => Promise<void>
}

interface Options {
  /** Where the demo upstream listens, if it runs. */
  demoUrl: string | undefined
  logger: Logger
  /** Milliseconds on a monotonic clock. */
  now?: () => number
}

interface Upstream {
  targets: OwnTarget[]
  /** Which of the targets is asked first, next time. */
  turn: number
  budget: RetryBudget
}

function unavailable(targets: OwnTarget[]): GatewayError {
  const seconds = Math.max(1, Math.ceil(Math.min(...targets.map((target) => target.usableInMs())) / 1000))
  const headers = targets.length === 0 ? {} : { 'Retry-After': String(seconds) }
  return new GatewayError('upstream_unavailable', 'There is no target to send this request to', { headers })
}

const overloaded = () => new GatewayError('overloaded', 'The service behind the gateway has as many requests as it may. Try again shortly.')

/** Runs before each forwarded request: makes nothing unless it fails. */
function nextOf(upstream: Upstream, except: ReadonlySet<Target> | undefined): Target {
  const { targets, turn } = upstream
  let isBusy = false
  for (let asked = 0; asked < targets.length; asked += 1) {
    const own = targets[(turn + asked) % targets.length]
    if (!own || (except !== undefined && own.isIn(except))) continue
    const target = own.offer()
    if (!target) continue
    if (own.isBusy()) {
      isBusy = true
      continue
    }
    upstream.turn = (turn + asked + 1) % targets.length
    if (except === undefined || except.size === 0) upstream.budget.earn()
    return target
  }
  throw isBusy ? overloaded() : unavailable(targets)
}

/** Opens the pools of the upstreams, and begins the health checks. */
export function openUpstreams(upstreams: RouteFile['upstreams'], { demoUrl, logger, now = () => performance.now() }: Options): Upstreams {
  const urlOf = (target: string) => target === 'demo' ? demoUrl : target
  const byName = new Map<string, Upstream>(Object.entries(upstreams).map(([name, settings]) => {
    const urls = settings.targets.map(urlOf).filter((url) => url !== undefined)
    return [name, { targets: urls.map((url) => openTarget({ upstream: name, url, settings, logger, now })), turn: 0, budget: createRetryBudget() }]
  }))
  const opened = [...byName.values()].flatMap(({ targets }) => targets)
  const stop = () => {
    byName.clear()
    for (const { stopChecks } of opened) stopChecks()
  }
  return {
    next: (name, except) => {
      const upstream = byName.get(name)
      if (!upstream) throw unavailable([])
      return nextOf(upstream, except)
    },
    mayRetry: (name) => byName.get(name)?.budget.spend() ?? false,
    status: () => [...byName].map(([name, { targets }]) => ({ name, targets: targets.map(({ status }) => status()) })),
    retire: async () => {
      stop()
      await Promise.all(opened.filter(({ pool }) => !pool.destroyed).map(({ pool }) => pool.close()))
    },
    close: async () => {
      stop()
      await Promise.all(opened.map(({ pool }) => pool.destroy()))
    },
  }
}
