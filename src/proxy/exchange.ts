import type { NextFunction, Request, Response } from 'express'
import type { OpenStream, Passage, Streams } from '../coherence/streams.js'
import { roleKey } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import type { AnswerSettings } from './response-headers.js'
import type { Callers } from './callers.js'
import type { Route } from './route-table.js'
import type { UpstreamSettings } from './upstream-schema.js'
import type { Upstreams } from './upstreams.js'

/** One request that is forwarded by a route. */
export interface Exchange {
  req: Request
  res: Response
  next: NextFunction
  lane: Lane
  /** Called when it has been decided again. */
  onDecided?: () => void
}

/** What all requests of a route share. */
export interface Lane {
  route: Route
  upstreams: Upstreams
  answers: AnswerSettings
  /** The open requests of each caller at the route's upstream. */
  callers: Callers
  /** By whom a request is counted: the user, the client of the portal, or the address. */
  callerOf: (req: Request) => string
  leastBodyRate: UpstreamSettings['limits']['leastBodyRate']
  /** Silence after which a WebSocket ends. */
  idleMs: number
  streams: Streams
  /** Decides again; undefined on routes that identify no caller. */
  again: Middleware | undefined
}

/** The keys of all that the decision on a request depended on. */
function dependenciesOf({ state: { principal, portalClient, context } }: Request): string[] {
  return [
    ...(principal?.dependsOn ?? []),
    ...(portalClient?.dependsOn ?? []),
    ...(context?.entry.dependsOn ?? []),
    ...(context?.roleIds.map(roleKey) ?? []),
  ]
}

/** The authority of the caller as the upstream is told. */
type Told = Pick<Request['state'], 'principal' | 'portalClient' | 'context' | 'accessLevel'>

const reach = { n: 0, m: 1, g: 2, a: 3 }

/** The authority that the upstream is told now, to compare it later. */
export function toldOf({ state: { principal, portalClient, context, accessLevel } }: Request): Told {
  return { principal, portalClient, context, accessLevel }
}

/**
 * The caller may still enter, but the service relies on the authority that it was told. If that was more than
 * what holds now, the exchange ends, and the next request tells the service anew.
 */
export function refuseLess(told: Told, { state: now }: Request): void {
  const isLess =
    (told.principal?.user.isSysAdmin === true && now.principal?.user.isSysAdmin !== true) ||
    (told.principal?.user.isPlatformAdmin === true && now.principal?.user.isPlatformAdmin !== true) ||
    told.portalClient?.id !== now.portalClient?.id ||
    told.portalClient?.mandateId !== now.portalClient?.mandateId ||
    reach[told.accessLevel ?? 'n'] > reach[now.accessLevel ?? 'n'] ||
    (told.context?.roleIds.some((role) => now.context?.roleIds.includes(role) !== true) ?? false)
  if (isLess) throw new GatewayError('permission_denied', 'Your rights have changed meanwhile. Ask again.')
}

/** Runs a route's decision again. Rejects with the refusal. */
export function decideAgain({ req, res, lane: { again } }: Exchange): Promise<void> {
  if (!again) return Promise.resolve()
  return new Promise((resolve, reject) => {
    void again(req, res, (error?: unknown) => {
      if (error === undefined) resolve()
      else reject(error instanceof Error ? error : new Error('refused', { cause: error }))
    })
  })
}

/**
 * Registers a long exchange, so that it ends with its admission; without a caller, with this process at the
 * latest.
 */
export function openPassage(exchange: Exchange, ends: Pick<OpenStream, 'cut' | 'drain'>): Passage {
  const {
    req,
    lane: { streams, again },
  } = exchange
  const told = toldOf(req)
  const decide = async () => {
    await decideAgain(exchange)
    refuseLess(told, req)
    exchange.onDecided?.()
    return dependenciesOf(req)
  }
  return streams.open(
    {
      dependsOn: dependenciesOf(req),
      decide,
      cut: (refusal) => ends.cut(refusal),
      drain: () => ends.drain(),
    },
    again ? req.state.decidedIn : streams.era(),
  )
}

/** Node's timers hold no longer delay. */
const longestTimerMs = 2 ** 31 - 1

/**
 * Makes an exchange without an end be judged anew when the proof of its caller may not suffice any more: the
 * passage then decides again, and cuts it if so. Returns the function that stops the wait.
 */
function atAssuranceEnd(exchange: Exchange, passage: Pick<Passage, 'wait'>): () => void {
  const { state } = exchange.req
  state.isEndless = true
  let timer: NodeJS.Timeout | undefined
  const arm = () => {
    clearTimeout(timer)
    const leftMs = state.assuredUntilMs - Date.now() + 1
    if (leftMs > longestTimerMs) return
    timer = setTimeout(judgeAnew, Math.max(leftMs, 1))
    timer.unref()
  }
  const judgeAnew = () => {
    state.decidedIn = Symbol() // the decision holds no longer
    passage.wait().catch(() => undefined) // refused: it has been cut
  }
  exchange.onDecided = arm
  arm()
  return () => clearTimeout(timer)
}

/**
 * Ends an exchange without an end with its caller's token and session, and with what policies ask of the
 * caller's proof. Returns the function that stops the wait.
 */
export function endInTime(exchange: Exchange, passage: Pick<Passage, 'wait'>, end: () => void): () => void {
  const stops = [atTokenEnd(exchange.req, end), atAssuranceEnd(exchange, passage)]
  return () => {
    for (const stop of stops) stop()
  }
}

/**
 * Calls back when the caller's token or session ends, because an exchange without an end must not outlive it.
 * Returns the function that stops the wait.
 */
function atTokenEnd({ state: { principal, portalClient } }: Request, end: () => void): () => void {
  const leftMs = (principal?.expiresAtMs ?? portalClient?.expiresAtMs ?? Infinity) - Date.now()
  if (leftMs > longestTimerMs) return () => undefined
  const timer = setTimeout(end, leftMs)
  timer.unref()
  return () => clearTimeout(timer)
}
