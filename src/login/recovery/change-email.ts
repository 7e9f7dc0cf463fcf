import { endSessionsOfUser } from '../../authentication/end-queries.js'
import { recordChange, type Actor } from '../../audit/record-change.js'
import type { Coherence, CommitAndAwaitNodes } from '../../coherence/commit-and-await-nodes.js'
import type { Database } from '../../database/connect.js'
import type { Language } from '../../domain/languages.js'
import { daySeconds } from '../../domain/time.js'
import { GatewayError, notFound } from '../../errors.js'
import type { Outbox } from '../../messages/outbox.js'
import {
  deleteAccountLinks,
  deleteLinksSentElsewhere,
  lockEmail,
  setEmail,
  takeAccountLink,
} from './account-link-queries.js'
import { issueAccountLink } from './issue-account-link.js'
import { linkGone } from './reset.js'

const undoSeconds = 7 * daySeconds
const isSame = (one: string | null, other: string) => one?.toLowerCase() === other.toLowerCase()

/**
 * Begins a change of a user's address: mails a link to the new one, which confirms it, and a link to the old
 * one, which undoes it. Throws `rate_limited`, and `not_found` without a way out.
 */
export async function beginEmailChange(
  { database, outbox }: { database: Database; outbox: Outbox },
  { userId, email, language }: { userId: string; email: string; language: Language },
): Promise<void> {
  if (!outbox.hasWayOut) throw notFound()
  await database.transaction(async (tx) => {
    const before = await lockEmail(tx, userId)
    if (!before) throw new GatewayError('user_disabled', 'User is disabled')
    await deleteAccountLinks(tx, userId, ['email_confirm'])
    const confirm = { kind: 'email_confirm', userId, sentTo: email, email, seconds: daySeconds } as const
    const link = await issueAccountLink(tx, confirm)
    await outbox.queueMessage(tx, { kind: 'email_confirm', to: email, language, userId, link })
    const { email: old, emailConfirmed, username } = before
    if (old === null || isSame(old, email)) return
    const undo = await issueAccountLink(tx, {
      kind: 'email_undo',
      userId,
      sentTo: old,
      email: old,
      emailConfirmed,
      seconds: undoSeconds,
    })
    await outbox.queueMessage(tx, { kind: 'email_notice', to: old, language, userId, username, link: undo })
  })
}

interface Use {
  tokenHash: string
  actor: Actor
}

/**
 * Gives the account its new address, by the link that was mailed there and a session of the same user. Throws
 * `not_found` for any other link.
 */
export async function confirmEmail(
  commitAndAwaitNodes: CommitAndAwaitNodes,
  { tokenHash, actor }: Use & { actor: { userId: string } },
): Promise<Coherence> {
  const { coherence } = await commitAndAwaitNodes(async (tx) => {
    const link = await takeAccountLink(tx, 'email_confirm', tokenHash)
    if (link?.userId !== actor.userId || link.email === null) throw linkGone()
    const { userId, email } = link
    await setEmail(tx, userId, { email, confirmed: true })
    // They were mailed to the address that is left.
    await deleteAccountLinks(tx, userId, ['password_reset', 'email_confirm'])
    await recordChange(tx, {
      actor,
      mandateId: 'system',
      action: 'email_changed',
      subject: `user:${userId}`,
      before: { email: link.currentEmail },
      after: { email },
    })
  })
  return coherence
}

/**
 * Undoes a change of address by the link that the old address got: cancels it or puts the address back, ends
 * all sessions, and makes links that were sent elsewhere since then stop working. Throws `not_found`.
 */
export async function undoEmailChange(
  commitAndAwaitNodes: CommitAndAwaitNodes,
  { tokenHash, actor }: Use,
): Promise<Coherence> {
  const { coherence } = await commitAndAwaitNodes(async (tx) => {
    const link = await takeAccountLink(tx, 'email_undo', tokenHash)
    if (link === undefined || link.email === null) throw linkGone()
    const { userId, email, emailConfirmed, currentEmail } = link
    if (!isSame(currentEmail, email))
      await setEmail(tx, userId, { email, confirmed: emailConfirmed === true })
    await deleteAccountLinks(tx, userId, ['email_confirm'])
    await deleteLinksSentElsewhere(tx, link)
    const ended = await endSessionsOfUser(tx, userId)
    await recordChange(tx, {
      actor: { ...actor, userId },
      mandateId: 'system',
      action: 'email_undone',
      subject: `user:${userId}`,
      before: { email: currentEmail },
      after: { email, sessionsEnded: ended.length },
    })
  })
  return coherence
}
