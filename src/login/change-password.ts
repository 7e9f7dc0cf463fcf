import { recordChange, type Actor } from '../audit/record-change.js'
import { endSessionsOfUser } from '../authentication/end-queries.js'
import type { Coherence, CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import type { Language } from '../domain/languages.js'
import { reason } from '../domain/reasons.js'
import { faultAt, GatewayError } from '../errors.js'
import { queueNotice } from '../messages/notice.js'
import type { Outbox } from '../messages/outbox.js'
import type { CheckPassword } from './check-password.js'
import type { Origin } from './issue-token.js'
import { checkNewPassword } from './password-policy.js'
import { replacePasswordHash } from './password-queries.js'
import type { Passwords } from './password.js'
import { findLoginUser } from './session-queries.js'

/** What a change of a password needs. */
export interface PasswordDependencies {
  sql: Sql
  outbox: Outbox
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Passwords
  checkPassword: CheckPassword
}

interface PasswordChange {
  currentPassword: string
  newPassword: string
  keepIdentities: boolean
}

/** The user who changes their password, by a session that goes on. */
interface Person {
  user: { id: string; username: string }
  sessionId: string | null
  actor: Actor
  language: Language
}

/**
 * Checks a change of a password. Returns the hash of the current one. Throws `validation_failed`,
 * `credentials_invalid`, or `conflict` for a user without a password.
 */
async function checkChange(
  { sql, checkPassword }: PasswordDependencies,
  username: string,
  { currentPassword, newPassword }: PasswordChange,
  origin: Origin,
): Promise<string | null> {
  checkNewPassword(newPassword, username, 'newPassword')
  if ((await findLoginUser(sql, [username]))?.passwordHash === null)
    throw new GatewayError('conflict', reason('no_password'))
  const checked = await checkPassword({ username, password: currentPassword, ...origin })
  if (!checked) throw new GatewayError('credentials_invalid', 'The current password is wrong')
  if (newPassword === currentPassword)
    throw new GatewayError('validation_failed', 'The body is not valid', {
      errors: [faultAt('newPassword', reason('current_password'))],
    })
  return checked.passwordHash
}

/**
 * Changes a user's password, ends their other sessions, audits it, and tells them by mail. When it returns, no
 * node accepts what the old password began.
 */
export async function changePassword(
  deps: PasswordDependencies,
  { user: { id, username }, sessionId, actor, language }: Person,
  change: PasswordChange,
  origin: Origin,
): Promise<Coherence> {
  const { keepIdentities } = change
  const from = await checkChange(deps, username, change, origin)
  const to = await deps.passwords.hash(change.newPassword)
  const { coherence } = await deps.commitAndAwaitNodes(async (tx) => {
    if (!(await replacePasswordHash(tx, id, { from, to, keepIdentities })))
      throw new GatewayError('conflict', reason('password_changed'))
    const ended = await endSessionsOfUser(tx, id, { except: sessionId })
    await recordChange(tx, {
      actor,
      mandateId: 'system',
      action: 'password_changed',
      subject: `user:${id}`,
      after: { by: 'user', sessionsEnded: ended.length, identitiesKept: keepIdentities },
    })
    await queueNotice(deps.outbox, tx, { userId: id, event: 'password_changed', language })
  })
  return coherence
}
