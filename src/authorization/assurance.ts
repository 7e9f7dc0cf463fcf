import { latestProofMs, proofOf, type CountingProof } from '../authentication/proof.js'
import type { Principal } from '../authentication/principal.js'
import type { CompiledPolicy, Demand, ItemDemand } from '../domain/assurance-policy.js'
import type { Action } from '../domain/permissions.js'
import { GatewayError } from '../errors.js'
import type { Subject } from '../http/endpoint/policy.js'
import type { AssuranceScope, MissingAssurance } from './assurance-error.js'

/** What a session is judged by. */
export interface AssuredSession {
  proof: CountingProof
  createdAtMs: number
  /** The last request that was admitted where a policy has `idle`; null for none. */
  lastUsedAtMs: number | null
}

/** A demand, with what a mandate's policy asks of a session beside it. */
export type SessionDemand = Demand & Partial<Pick<CompiledPolicy, 'idle' | 'sessionAge'>>

/** The clocks of database and node may differ by so much. */
const leewayMs = 5000

/** Returns what a caller is judged by. A token without a session was proved once, when it was issued. */
export function assuredSession(
  principal: Pick<Principal, 'issuedAtMs' | 'session'>,
  nowMs: number,
): AssuredSession {
  const { session, issuedAtMs } = principal
  const usedAtMs = session?.lastUsedAtMs ?? null
  return {
    proof: proofOf(principal, nowMs),
    createdAtMs: session?.createdAtMs ?? issuedAtMs,
    lastUsedAtMs: usedAtMs !== null && usedAtMs <= nowMs + leewayMs ? usedAtMs : null,
  }
}

const ofFactor = ({ factor }: Demand, proof: CountingProof): number | null =>
  factor === null ? latestProofMs(proof) : factor === 'phr' ? proof.phrAtMs : proof.mfaAtMs

/** Returns when a session was used or proved last; -Infinity for never. */
const lastActiveMs = ({ lastUsedAtMs, proof }: AssuredSession) =>
  Math.max(lastUsedAtMs ?? -Infinity, latestProofMs(proof) ?? -Infinity)

/**
 * Returns the end of each time that a demand grants to a session, in milliseconds since 1970: -Infinity where
 * it never began, Infinity where the demand sets no time.
 */
function endsOf(demand: SessionDemand, session: AssuredSession): Record<'session' | 'idle' | 'age', number> {
  const after = (seconds: number | null | undefined, atMs: number) =>
    seconds === null || seconds === undefined ? Infinity : atMs + seconds * 1000
  return {
    session: after(demand.sessionAge, session.createdAtMs),
    idle: after(demand.idle, lastActiveMs(session)),
    age: after(demand.maxAge, ofFactor(demand, session.proof) ?? -Infinity),
  }
}

/** Returns all that a session lacks under a demand, the first one first. */
export function missingUnder(
  demand: SessionDemand,
  session: AssuredSession,
  nowMs: number,
): MissingAssurance[] {
  const ends = endsOf(demand, session)
  const hasFactor = demand.factor === null || ofFactor(demand, session.proof) !== null
  return [
    ...(nowMs > ends.session ? (['session'] as const) : []),
    ...(nowMs > ends.idle ? (['idle'] as const) : []),
    ...(hasFactor ? [] : (['factor'] as const)),
    ...(hasFactor && nowMs > ends.age ? (['age'] as const) : []),
  ]
}

/** Returns what a session lacks first under a demand; undefined where it meets it. It allocates little. */
export function firstMissing(
  demand: SessionDemand,
  session: AssuredSession,
  nowMs: number,
): MissingAssurance | undefined {
  const { sessionAge, idle, factor, maxAge } = demand
  if (typeof sessionAge === 'number' && nowMs - session.createdAtMs > sessionAge * 1000) return 'session'
  if (typeof idle === 'number' && nowMs - lastActiveMs(session) > idle * 1000) return 'idle'
  const atMs = ofFactor(demand, session.proof)
  if (factor !== null && atMs === null) return 'factor'
  return maxAge !== null && nowMs - (atMs ?? -Infinity) > maxAge * 1000 ? 'age' : undefined
}

/** Returns until when a session that meets a demand goes on to meet it, in milliseconds since 1970. */
export function assuredUntil(demand: SessionDemand, session: AssuredSession): number {
  const { session: ofSession, idle, age } = endsOf(demand, session)
  return Math.min(ofSession, idle, age)
}

/** Refuses an address that is in none of the ranges of a policy. Throws `address_not_allowed`. */
export function requireAddress(
  { admits, isUnreadable }: CompiledPolicy,
  address: string,
  scope: AssuranceScope,
): void {
  if (isUnreadable)
    throw new GatewayError('directory_unavailable', 'The policy of this place cannot be read', {
      cause: new Error(`the items in the policy's row cannot be read (${scope})`),
    })
  if (admits?.(address) === false)
    throw new GatewayError('address_not_allowed', 'Requests from this address are not accepted here', {
      members: { scope },
    })
}

const isWithin = (item: string, ruled: string | null) =>
  ruled === null || item === ruled || item.startsWith(`${ruled}.`)

/** Returns the demands of a policy on an action. An action that is not known is asked all of its item. */
export function demandsOn(
  { items }: Pick<CompiledPolicy, 'items'>,
  { context, item }: Pick<Subject, 'context' | 'item'>,
  action: Action | undefined,
): ItemDemand[] {
  return items.filter(
    (one) =>
      one.context === context &&
      isWithin(item, one.item) &&
      (one.actions === null || action === undefined || one.actions.includes(action)),
  )
}

const strength = { none: 0, mfa: 1, phr: 2 }

/** Returns the strictest of several demands: the strongest factor, then the least age. */
export const strictest = (demands: readonly Demand[]): Demand | undefined =>
  [...demands].sort(
    (one, other) =>
      strength[other.factor ?? 'none'] - strength[one.factor ?? 'none'] ||
      (one.maxAge ?? Infinity) - (other.maxAge ?? Infinity),
  )[0]
