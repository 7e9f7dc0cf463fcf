import { recordChange, type Actor } from '../../audit/record-change.js'
import type { CommitAndAwaitNodes } from '../../coherence/commit-and-await-nodes.js'
import type { Language } from '../../domain/languages.js'
import { reason } from '../../domain/reasons.js'
import { GatewayError } from '../../errors.js'
import { queueNotice } from '../../messages/notice.js'
import type { Outbox } from '../../messages/outbox.js'
import { setFirstPassword } from '../first-access-queries.js'
import { takeAccountLink } from './account-link-queries.js'

/** Used, expired, replaced, revoked, never made: the same answer, so that nobody learns which. */
export const linkGone = () => new GatewayError('not_found', reason('link_used'))

interface Dependencies {
  commitAndAwaitNodes: CommitAndAwaitNodes
  outbox: Outbox
}

/** Sets a new password by a mailed link, as a first access does. Throws `not_found` where it is gone. */
export async function resetPassword(
  { commitAndAwaitNodes, outbox }: Dependencies,
  {
    tokenHash,
    passwordHash,
    actor,
    language,
  }: { tokenHash: string; passwordHash: string; actor: Actor; language: Language },
): Promise<void> {
  await commitAndAwaitNodes(async (tx) => {
    const link = await takeAccountLink(tx, 'password_reset', tokenHash)
    if (!link) throw linkGone()
    const { userId } = link
    await setFirstPassword(tx, userId, passwordHash)
    await recordChange(tx, {
      actor: { ...actor, userId },
      mandateId: 'system',
      action: 'password_reset',
      subject: `user:${userId}`,
    })
    await queueNotice(outbox, tx, { userId, event: 'password_changed', language })
  })
}
