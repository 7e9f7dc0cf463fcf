import {
  endSessions,
  endSessionsOfUser,
  findSessionOfUser,
  revokeLooseTokens,
  withdrawLinksOf,
} from '../authentication/end-queries.js'
import { notFound } from '../errors.js'
import { found } from './fields.js'
import type { Edit } from './scope.js'
import { findUserForUpdate, type ListedUser } from './user-queries.js'
import { refuseForeignSysAdmin } from './users.js'

/** Returns the user whose sessions the caller may end. Throws `not_found` and `sysadmin_required`. */
export async function beginSignOut({ tx, about, bySysAdmin }: Edit, id: string): Promise<ListedUser> {
  const user = found(await findUserForUpdate(tx, id))
  refuseForeignSysAdmin({ isSysAdmin: bySysAdmin }, user)
  await about({ userId: user.id })
  return user
}

/** Ends all sessions of a user, their tokens without a session, and their links to a first password. */
export async function signOutEverywhere({ tx, record }: Edit, user: ListedUser): Promise<void> {
  const ended = await endSessionsOfUser(tx, user.id)
  await revokeLooseTokens(tx, user.id)
  await withdrawLinksOf(tx, user.id)
  await record({
    action: 'user_signed_out',
    subject: `user:${user.id}`,
    before: { sessions: ended.length },
  })
}

/** Ends one session of a user. Throws `not_found` if the user has no such session. */
export async function endSessionOf({ tx, record }: Edit, user: ListedUser, sessionId: string): Promise<void> {
  const ended = (await findSessionOfUser(tx, sessionId, user.id)) ? await endSessions(tx, [sessionId]) : []
  if (ended.length === 0) throw notFound()
  await record({
    action: 'session_ended',
    subject: `session:${sessionId}`,
    before: { userId: user.id },
  })
}
