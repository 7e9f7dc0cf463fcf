import { recordChange, type Actor } from '../../audit/record-change.js'
import { endSessionsOfUser } from '../../authentication/end-queries.js'
import type { CoherentTx } from '../../coherence/commit-and-await-nodes.js'
import type { Language } from '../../domain/languages.js'
import { reason } from '../../domain/reasons.js'
import { GatewayError, notFound } from '../../errors.js'
import { queueNotice } from '../../messages/notice.js'
import type { Outbox } from '../../messages/outbox.js'
import type { Person } from '../fresh-proof.js'
import { lockWaysIn } from '../identity-queries.js'
import { deleteFactor, listFactors } from './factor-queries.js'
import { deleteRecoveryCodes } from './recovery-code-queries.js'

interface Removing {
  person: Person
  actor: Actor
  language: Language
  /** Whether the user can come back by an identity of a provider that is set up. */
  hasProvider: (tx: CoherentTx, userId: string) => Promise<boolean>
}

/**
 * Removes a factor and ends the user's other sessions. Recovery codes go with the last factor. Throws
 * `not_found`, and `conflict` where nothing would be left to sign in by.
 */
export async function removeFactor(
  outbox: Outbox,
  tx: CoherentTx,
  id: string,
  { person: { userId, sessionId }, actor, language, hasProvider }: Removing,
): Promise<void> {
  const { hasPassword } = await lockWaysIn(tx, userId)
  const factors = await listFactors(tx, userId)
  const found = factors.find((one) => one.id === id)
  if (!found) throw notFound()
  const others = factors.filter((one) => one !== found)
  const canComeBack =
    hasPassword || others.some(({ kind }) => kind === 'passkey') || (await hasProvider(tx, userId))
  if (!canComeBack) throw new GatewayError('conflict', reason('last_way_in'))
  await deleteFactor(tx, id)
  if (others.length === 0) await deleteRecoveryCodes(tx, userId)
  const ended = await endSessionsOfUser(tx, userId, { except: sessionId })
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'factor_removed',
    subject: `user:${userId}`,
    before: { factor: id, kind: found.kind },
    after: { sessionsEnded: ended.length },
  })
  await queueNotice(outbox, tx, { userId, event: 'factor_removed', language })
}
