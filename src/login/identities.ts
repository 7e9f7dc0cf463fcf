import { recordChange, type Actor } from '../audit/record-change.js'
import { endSessions } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import type { CheckPassword } from './check-password.js'
import { listPasskeys } from './factors/passkey-queries.js'
import { requireFreshProof, type Person } from './fresh-proof.js'
import { listIdentities, lockWaysIn, unlinkIdentity } from './identity-queries.js'
import type { Origin } from './issue-token.js'
import { isSetUp } from './providers.js'
import type { SignInProvider } from './sign-in-provider.js'

/**
 * Refuses a link without a fresh proof. The current password is one where no factor is enrolled. Throws
 * `credentials_invalid` for a wrong one.
 */
export async function requireProof(
  { sql, checkPassword }: { sql: Sql; checkPassword: CheckPassword },
  person: Person,
  password: string | undefined,
  origin: Origin,
): Promise<void> {
  if (password !== undefined) {
    const { username } = person.principal.user
    if (!(await checkPassword({ username, password, ...origin })))
      throw new GatewayError('credentials_invalid', 'The current password is wrong')
  }
  await requireFreshProof(sql, person, { isProved: password !== undefined })
}

/**
 * Unlinks an identity of a person, ends their other sessions of its provider, and audits it. Throws
 * `not_found`, or `conflict` for the last way in: without a password another identity of a provider that is
 * set up, or a passkey, must stay.
 */
export async function unlinkOwnIdentity(
  tx: CoherentTx,
  { userId, sessionId }: Pick<Person, 'userId' | 'sessionId'>,
  id: string,
  { providers, actor }: { providers: readonly SignInProvider[]; actor: Actor },
): Promise<void> {
  const { hasPassword } = await lockWaysIn(tx, userId)
  const identities = await listIdentities(tx, userId)
  const found = identities.find((one) => one.id === id)
  if (!found) throw new GatewayError('not_found', 'There is no identity of yours with this id')
  const canComeBack =
    hasPassword ||
    identities.some((one) => one.id !== id && isSetUp(providers, one)) ||
    (await listPasskeys(tx, userId)).length > 0
  if (!canComeBack) throw new GatewayError('conflict', reason('last_way_in'))
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
