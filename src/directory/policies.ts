import type { Request } from 'express'
import { assuredSession, firstMissing, demandsOn, missingUnder } from '../authorization/assurance.js'
import type { MissingAssurance } from '../authorization/assurance-error.js'
import { compilePolicy, type AreaPolicy, type MandatePolicy } from '../domain/assurance-policy.js'
import { GatewayError } from '../errors.js'
import type { Sql } from '../database/connect.js'
import { listConcernedSessions, type Concerned, type ConcernedSession } from './policy-queries.js'

/** Whoever a policy would refuse: those with a session that would be, and those without a factor that would do. */
export interface RefusedByPolicy {
  sessions: number
  members: number
  items: { userId: string; username: string; missing: MissingAssurance[]; enrolled: boolean }[]
}

/** Rows that a preview looks at, and people that it lists. */
const mostLooked = 20_000
const mostListed = 200

/** Returns whether one of somebody's factors meets what a policy asks. */
const isEnrolled = ({ factor }: Pick<MandatePolicy, 'factor'>, kinds: readonly string[]) =>
  factor === null || (factor === 'phr' ? kinds.includes('passkey') : kinds.length > 0)

function lackOf(policy: MandatePolicy, one: ConcernedSession, nowMs: number): MissingAssurance[] {
  if (one.sessionId === null) return []
  const { createdAtMs, authTimeMs, mfaAtMs, phrAtMs, lastUsedAtMs } = one
  const session = { createdAtMs: createdAtMs ?? 0, authTimeMs, mfaAtMs, phrAtMs, lastUsedAtMs, amr: [] }
  return missingUnder(policy, assuredSession({ session, issuedAtMs: Infinity }, nowMs), nowMs)
}

/** Returns whom a policy would refuse now. Addresses are not judged: it is not known from where people come. */
export async function findRefused(
  sql: Sql,
  concerned: Concerned,
  policy: MandatePolicy,
): Promise<RefusedByPolicy> {
  const nowMs = Date.now()
  const people = new Map<string, RefusedByPolicy['items'][number]>()
  let sessions = 0
  for (const one of await listConcernedSessions(sql, concerned, mostLooked)) {
    const missing = lackOf(policy, one, nowMs)
    const enrolled = isEnrolled(policy, one.kinds)
    if (missing.length > 0) sessions += 1
    if (missing.length === 0 && enrolled) continue
    const known = people.get(one.userId)
    people.set(one.userId, {
      userId: one.userId,
      username: one.username,
      missing: [...new Set([...(known?.missing ?? []), ...missing])],
      enrolled,
    })
  }
  return { sessions, members: people.size, items: [...people.values()].slice(0, mostListed) }
}

/**
 * Refuses a policy under which its author could not change it again. `item` is that of the permission that the
 * change needs, where it needs one. Throws `policy_locks_out`.
 */
export function refuseLockOut({ state }: Request, policy: MandatePolicy, item?: 'gateway.policy'): void {
  const compiled = compilePolicy(policy)
  if (!compiled) return
  const lockedOut = (why: string) =>
    new GatewayError(
      'policy_locks_out',
      `Under this policy you could not change it again: ${why}. Meet it first, or ask for less.`,
    )
  if (compiled.admits?.(state.clientAddress) === false)
    throw lockedOut('your address is not among its addresses')
  const principal = state.requirePrincipal()
  if (principal.isServiceAccount) return
  const nowMs = Date.now()
  const session = assuredSession(principal, nowMs)
  const used = { ...session, lastUsedAtMs: nowMs } // by this request
  const demands = item ? demandsOn(compiled, { context: 'RESOURCE', item }, 'update') : []
  const missing = [compiled, ...demands].flatMap((one) => firstMissing(one, used, nowMs) ?? [])
  if (missing.includes('session')) throw lockedOut('your session is too old')
  if (missing.includes('factor')) throw lockedOut('your session was not proved by such a factor')
  if (missing.length > 0) throw lockedOut('your last proof is too old')
}

/** Returns a policy with the fields of a change in place of its own. */
export function withChange<Stored extends AreaPolicy>(
  stored: Stored,
  change: { [Field in keyof Stored]?: Stored[Field] | undefined },
): Stored {
  return {
    ...stored,
    ...Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)),
  }
}
