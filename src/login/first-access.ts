import { recordChange, type Actor } from '../audit/record-change.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'
import type { Language } from '../domain/languages.js'
import { reason } from '../domain/reasons.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import { GatewayError } from '../errors.js'
import { queueNotice } from '../messages/notice.js'
import type { Outbox } from '../messages/outbox.js'
import {
  findInvited,
  replaceFirstAccessLink,
  setFirstPassword,
  takeInvitation,
  type Invited,
} from './first-access-queries.js'
import type { Passwords } from './password.js'

/** A one-time link. Only the caller who asked for it sees it; the database holds its hash. */
export interface OneTimeLink {
  /** Path on the gateway; the link is `PUBLIC_URL` and this. */
  path: string
  expiresAt: Date
}

const linkDays = 7

/**
 * Makes a user's link to a first password. It ends with the level of the admin who issued it (null: the
 * command line), and earlier ones stop working. Throws `not_found` without such a user, and for a service
 * account.
 */
export async function issueFirstAccess(
  tx: Tx,
  userId: string,
  issuedBy: string | null,
): Promise<OneTimeLink> {
  const token = makeSecret()
  const expiresAt = await replaceFirstAccessLink(tx, {
    userId,
    tokenHash: hashSecret(token),
    days: linkDays,
    issuedBy,
  })
  if (!expiresAt) throw new GatewayError('not_found', reason('user_without_password'))
  return { path: `/auth/first-access/${token}`, expiresAt }
}

/** The error is the same for a link that was used, has expired, was replaced or never made. */
const linkGone = () => new GatewayError('not_found', reason('link_used'))

/** Returns the user whom a link invites. Throws `not_found`. */
export async function getInvited(sql: Sql, tokenHash: string): Promise<Invited> {
  const invited = await findInvited(sql, tokenHash)
  if (!invited) throw linkGone()
  return invited
}

interface Dependencies {
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Pick<Passwords, 'hash'>
  outbox: Outbox
}

/** Uses a link up: sets the first password, audits it, and tells the user by mail. Throws `not_found`. */
export async function useFirstAccess(
  { commitAndAwaitNodes, passwords, outbox }: Dependencies,
  { tokenHash, password }: { tokenHash: string; password: string },
  { actor, language }: { actor: Actor; language: Language },
): Promise<void> {
  const passwordHash = await passwords.hash(password)
  await commitAndAwaitNodes(async (tx) => {
    const taken = await takeInvitation(tx, tokenHash)
    if (!taken) throw linkGone()
    await setFirstPassword(tx, taken.userId, passwordHash)
    await recordChange(tx, {
      actor: { ...actor, userId: taken.userId },
      mandateId: 'system',
      action: 'first_access_used',
      subject: `user:${taken.userId}`,
    })
    await queueNotice(outbox, tx, { userId: taken.userId, event: 'password_changed', language })
  })
}
