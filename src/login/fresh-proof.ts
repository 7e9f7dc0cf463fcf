import type { Request } from 'express'
import type { Principal } from '../authentication/principal.js'
import { latestProofMs, proofOf } from '../authentication/proof.js'
import { insufficientAssurance } from '../authorization/assurance-error.js'
import type { Sql } from '../database/connect.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { findEnrolled, type Enrolled } from './factors/factor-queries.js'

/** For so long a proof lets somebody change what they are let in by. */
export const freshSeconds = 600

/** A person, by a session: a program has no factors. */
export interface Person {
  principal: Principal
  userId: string
  sessionId: string
}

/** Returns who is signed in, and their session. Throws `permission_denied` for a token without one. */
export function personOf({ state }: Request): Person {
  const principal = state.requirePrincipal()
  const { user, sessionId } = principal
  if (!sessionId) throw new GatewayError('permission_denied', 'Only somebody who has signed in can do this')
  return { principal, userId: user.id, sessionId }
}

/** Returns what a person can be proved by. Throws `permission_denied` for a service account. */
export async function enrolledOf(sql: Sql, { userId }: Person): Promise<Enrolled> {
  const enrolled = await findEnrolled(sql, userId)
  if (!enrolled || enrolled.isServiceAccount)
    throw new GatewayError('permission_denied', reason('no_factors'))
  return enrolled
}

/**
 * Refuses a change of what somebody is let in by, unless they were proved within 600 s: by a factor where one
 * is enrolled. A session alone is no proof: a thief would come back by what they add. `isProved`: the current
 * password came along, which will do where no factor is enrolled.
 */
export async function requireFreshProof(
  sql: Sql,
  person: Person,
  { isProved = false }: { isProved?: boolean } = {},
): Promise<void> {
  const enrolled = await findEnrolled(sql, person.userId)
  if (!enrolled) throw new GatewayError('token_invalid', 'Invalid authentication credentials')
  const nowMs = Date.now()
  const proof = proofOf(person.principal, nowMs)
  const asksFactor = enrolled.kinds.length > 0
  if (!asksFactor && isProved) return
  const provedAtMs = asksFactor ? proof.mfaAtMs : latestProofMs(proof)
  if (provedAtMs !== null && nowMs - provedAtMs <= freshSeconds * 1000) return
  throw insufficientAssurance({
    missing: provedAtMs === null ? 'factor' : 'age',
    scope: 'account',
    factor: asksFactor ? 'mfa' : null,
    maxAge: freshSeconds,
  })
}
