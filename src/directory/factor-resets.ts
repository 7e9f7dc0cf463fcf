import { recordChange, type Actor } from '../audit/record-change.js'
import { endFactors } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Language } from '../domain/languages.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { queueNotice } from '../messages/notice.js'
import type { Outbox } from '../messages/outbox.js'

interface Reset {
  userId: string
  actor: Actor
  language: Language
}

/**
 * Removes all second factors, recovery codes and sessions of a user who has lost them. Nobody resets their own:
 * then a stolen session of an admin would be worth a factor. Throws `conflict` for oneself.
 */
export async function resetFactors(
  outbox: Outbox,
  tx: CoherentTx,
  { userId, actor, language }: Reset,
): Promise<void> {
  if (actor.userId === userId) throw new GatewayError('conflict', reason('own_factors'))
  const { factors } = await endFactors(tx, userId)
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'factors_reset',
    subject: `user:${userId}`,
    before: { factors },
  })
  await queueNotice(outbox, tx, { userId, event: 'factors_reset', language })
}
