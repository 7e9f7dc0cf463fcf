import { recordChange, type Actor } from '../audit/record-change.js'
import { endSessions } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import type { CheckPassword } from './check-password.js'
import {
  isSessionYoung,
  listIdentities,
  lockWaysIn,
  unlinkIdentity,
  type LinkedIdentity,
} from './identity-queries.js'
import type { Origin } from './issue-token.js'
import type { SignInProvider } from './sign-in-provider.js'

/** For so many seconds after signing in, a person need not prove again who they are. */
export const proofSeconds = 600

/** A person, and the session they act by. */
export interface SignedInPerson {
  userId: string
  sessionId: string
}

/**
 * Throws `credentials_invalid` unless the caller proves who they are: by their password, or by a sign-in of
 * the last ten minutes. A session alone is no proof: a thief of one would come back by what they link.
 */
export async function requireProof(
  { sql, checkPassword }: { sql: Sql; checkPassword: CheckPassword },
  { sessionId, username, password }: { sessionId: string; username: string; password: string | undefined },
  origin: Origin,
): Promise<void> {
  if (password !== undefined) {
    if (!(await checkPassword({ username, password, ...origin })))
      throw new GatewayError('credentials_invalid', 'The current password is wrong')
  } else if (!(await isSessionYoung(sql, sessionId, proofSeconds))) {
    throw new GatewayError(
      'credentials_invalid',
      `Linking an identity needs proof that it is you: send currentPassword, or sign in again and link it within ${proofSeconds / 60} minutes.`,
    )
  }
}

const isSetUp = (providers: readonly SignInProvider[], { authority, providerId }: LinkedIdentity) =>
  providers.some((one) => one.authority === authority && one.id === (providerId ?? null))

/**
 * Unlinks an identity of a person, ends their other sessions of its provider, and audits it. Throws
 * `not_found`, or `conflict` for the last way in: without a password another identity of a provider that is
 * set up must stay.
 */
export async function unlinkOwnIdentity(
  tx: CoherentTx,
  { userId, sessionId }: SignedInPerson,
  id: string,
  { providers, actor }: { providers: readonly SignInProvider[]; actor: Actor },
): Promise<void> {
  const { hasPassword } = await lockWaysIn(tx, userId)
  const identities = await listIdentities(tx, userId)
  const found = identities.find((one) => one.id === id)
  if (!found) throw new GatewayError('not_found', 'There is no identity of yours with this id')
  if (!hasPassword && !identities.some((one) => one.id !== id && isSetUp(providers, one)))
    throw new GatewayError('conflict', reason('last_way_in'))
  await endSessions(tx, await unlinkIdentity(tx, userId, found, { except: sessionId }))
  const { authority, providerId } = found
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'identity_unlinked',
    subject: `user:${userId}`,
    before: { identity: id, authority, ...(providerId === undefined ? {} : { providerId }) },
  })
}
