import type { Request } from 'express'
import type { Principal } from '../authentication/principal.js'
import type { Directory } from '../coherence/directory.js'
import type { CompiledPolicy, Demand, ItemDemand } from '../domain/assurance-policy.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import type { Policy, Subject } from '../http/endpoint/policy.js'
import { insufficientAssurance, type AssuranceScope } from './assurance-error.js'
import {
  assuredSession,
  assuredUntil,
  demandsOn,
  firstMissing,
  requireAddress,
  strictest,
  type AssuredSession,
  type SessionDemand,
} from './assurance.js'
import { actionOfMethod } from './guards.js'
import type { LastUses } from './last-uses.js'

/** What judging by policies needs besides the request. */
export interface Judging {
  directory: Pick<Directory, 'areaPolicy'>
  lastUses: Pick<LastUses, 'known' | 'readAnew'>
  /** Called for a session whose request was admitted where a policy has `idle`. */
  onUse: (sessionId: string, atMs: number) => void
}

/** The moment at which a request is judged: streams without an end are judged anew as time passes. */
const momentOf = ({ state }: Request) => (state.isEndless ? Date.now() : state.decidedAtMs)

function sessionOf(principal: Principal, nowMs: number, { lastUses }: Judging): AssuredSession {
  const session = assuredSession(principal, nowMs)
  const known = principal.sessionId === null ? undefined : lastUses.known(principal.sessionId)
  return known === undefined
    ? session
    : { ...session, lastUsedAtMs: Math.max(known, session.lastUsedAtMs ?? 0) }
}

const refusal = (demand: Demand, scope: AssuranceScope, missing: ReturnType<typeof firstMissing> & string) =>
  insufficientAssurance({ missing, scope, factor: demand.factor, maxAge: demand.maxAge })

/** Judges one demand. Throws `insufficient_user_authentication`. */
function judge(
  req: Request,
  principal: Principal,
  demand: SessionDemand,
  scope: AssuranceScope,
  judging: Judging,
): void {
  const nowMs = momentOf(req)
  const session = sessionOf(principal, nowMs, judging)
  const missing = firstMissing(demand, session, nowMs)
  if (missing !== undefined) throw refusal(demand, scope, missing)
  req.state.assuredUntilMs = Math.min(req.state.assuredUntilMs, assuredUntil(demand, session))
}

/**
 * Judges a caller by the policy of a mandate. A session that seems idle may have been used on another node: it
 * is looked up before it is refused. Throws, or rejects with, the refusal.
 */
function judgeByMandate(req: Request, policy: CompiledPolicy, judging: Judging): undefined | Promise<void> {
  const principal = req.state.requirePrincipal()
  requireAddress(policy, req.state.clientAddress, 'mandate')
  if (principal.isServiceAccount) return undefined
  try {
    judge(req, principal, policy, 'mandate', judging)
    return undefined
  } catch (error) {
    if (!(error instanceof GatewayError) || error.members?.missing !== 'idle' || principal.sessionId === null)
      throw error
    return judging.lastUses
      .readAnew(principal.sessionId)
      .then(() => judge(req, principal, policy, 'mandate', judging))
  }
}

/** Judges the action on an item. Of several demands that refuse, the strictest is named. */
function judgeItems(req: Request, principal: Principal, demands: ItemDemand[], judging: Judging): void {
  const nowMs = momentOf(req)
  const session = sessionOf(principal, nowMs, judging)
  const refusing = demands.filter((one) => firstMissing(one, session, nowMs) !== undefined)
  const demand = strictest(refusing)
  const missing = demand && firstMissing(demand, session, nowMs)
  if (demand && missing !== undefined) throw refusal(demand, 'item', missing)
  for (const one of demands)
    req.state.assuredUntilMs = Math.min(req.state.assuredUntilMs, assuredUntil(one, session))
}

/** Creates the step that judges by the policy of the mandate, which the context has entered. */
export function requireMandatePolicy(judging: Judging): Middleware {
  return (req, _res, next) => {
    const policy = req.state.context?.entry.policy
    const judged = policy && judgeByMandate(req, policy, judging)
    if (judged) return judged.then(() => next())
    next()
    return undefined
  }
}

/** Returns the demands of each policy on the subject of an endpoint or route. They change with the policy alone. */
function itemDemands(subject: Subject | undefined): (policy: CompiledPolicy, method: string) => ItemDemand[] {
  const known = new WeakMap<CompiledPolicy, Map<string, ItemDemand[]>>()
  return (policy, method) => {
    if (!subject || policy.items.length === 0) return []
    const action = subject.action ?? actionOfMethod[method]
    const byAction = known.get(policy) ?? new Map<string, ItemDemand[]>()
    known.set(policy, byAction)
    const demands = byAction.get(action ?? '') ?? demandsOn(policy, subject, action)
    byAction.set(action ?? '', demands) // bounded: four actions, and none
    return demands
  }
}

/** Creates the last step that decides: what the item, the route and the operators' area ask. */
export function requirePlacePolicy(
  { permission, assurance, area }: Pick<Policy, 'permission' | 'assurance' | 'area'>,
  judging: Judging,
): Middleware {
  const demandsOf = itemDemands(permission)
  const judgeArea = (req: Request, policy: CompiledPolicy | undefined) => {
    if (!policy || !area) return
    requireAddress(policy, req.state.clientAddress, area)
    const principal = req.state.requirePrincipal()
    if (!principal.isServiceAccount) judge(req, principal, policy, area, judging)
  }
  return (req, _res, next) => {
    const policy = req.state.context?.entry.policy
    const principal = policy || assurance ? req.state.principal : undefined
    if (principal && !principal.isServiceAccount) {
      if (policy) judgeItems(req, principal, demandsOf(policy, req.method), judging)
      if (assurance) judge(req, principal, assurance, 'route', judging)
      if (typeof policy?.idle === 'number' && principal.sessionId !== null)
        judging.onUse(principal.sessionId, req.state.decidedAtMs)
    }
    if (area === undefined) {
      next()
      return undefined
    }
    const ofArea = judging.directory.areaPolicy(area)
    if (ofArea instanceof Promise)
      return ofArea.then((loaded) => {
        judgeArea(req, loaded)
        next()
      })
    judgeArea(req, ofArea)
    next()
    return undefined
  }
}

/**
 * Judges a request that has entered a mandate within its handler, by the mandate's policy. Rejects with the
 * refusal.
 */
export async function judgeMandate(req: Request, judging: Judging): Promise<void> {
  const policy = req.state.context?.entry.policy
  if (policy) await judgeByMandate(req, policy, judging)
}

/** Judges such a request by what the policy asks of an item, after its permission. Throws the refusal. */
export function judgeSubject(req: Request, subject: Subject, judging: Judging): void {
  const policy = req.state.context?.entry.policy
  const principal = req.state.requirePrincipal()
  if (!policy || principal.isServiceAccount) return
  judgeItems(req, principal, demandsOn(policy, subject, subject.action), judging)
  if (policy.idle !== null && principal.sessionId !== null)
    judging.onUse(principal.sessionId, req.state.decidedAtMs)
}

/** Whether an error refuses a caller for a policy: it is audited as such. */
export const isOfAssurance = (code: string) =>
  code === 'insufficient_user_authentication' || code === 'address_not_allowed'
