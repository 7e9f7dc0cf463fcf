import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'
import { endSessionsOfUser, withdrawLinksOf } from '../authentication/end-queries.js'

/** Whose first password a link sets. */
export interface Invited {
  userId: string
  username: string
}

/** Links that still work: not used, not expired, of somebody who may sign in with a password. */
const working = `
  from first_access_links l
  join users u on u.id = l.user_id
 where l.token_hash = ? and l.expires_at > now() and u.enabled and not u.is_service_account`

/**
 * Puts a link in the place of all that the user had. Answers when it ends; undefined where there is no such
 * user, or it is a service account.
 */
export async function replaceFirstAccessLink(
  tx: Tx,
  link: { userId: string; tokenHash: string; days: number; issuedBy: string | null },
): Promise<Date | undefined> {
  await tx.run(
    `delete from first_access_links where user_id = ? or expires_at < now() - interval '30 days'`,
    [link.userId],
  )
  const [row] = await tx.rows<{ expiresAt: Date }>(
    `
    insert into first_access_links (user_id, issued_by, token_hash, expires_at)
    select id, ?, ?, now() + make_interval(days => ?) from users where id = ? and not is_service_account
    returning expires_at as "expiresAt"`,
    [link.issuedBy, link.tokenHash, link.days, link.userId],
  )
  return row?.expiresAt
}

/** Whose the link is, as long as it works. */
export async function findInvited(sql: Sql, tokenHash: string): Promise<Invited | undefined> {
  const [row] = await sql.rows<Invited>(`select u.id as "userId", u.username ${working}`, [tokenHash])
  return row
}

/** Uses the link up: of several at once one gets the answer. */
export async function takeInvitation(tx: CoherentTx, tokenHash: string): Promise<Invited | undefined> {
  const [row] = await tx.rows<Invited>(
    `
    delete from first_access_links taken using (select l.id, u.id as "userId", u.username ${working} for update) as mine
     where taken.id = mine.id returning mine."userId", mine.username`,
    [tokenHash],
  )
  return row
}

/**
 * Sets a user's password and ends what was begun with another one: sessions, other links of this kind, and
 * identities that were linked. Whoever had a link of before may have been somebody else, and would come back
 * by what they linked.
 */
export async function setFirstPassword(tx: CoherentTx, userId: string, passwordHash: string): Promise<void> {
  await tx.run('update users set password_hash = ? where id = ?', [passwordHash, userId])
  await endSessionsOfUser(tx, userId)
  await withdrawLinksOf(tx, userId)
  await tx.run('delete from user_identities where user_id = ?', [userId])
}

/** Notes the address that a link is mailed to. */
export async function noteSentTo(tx: Tx, tokenHash: string, address: string): Promise<void> {
  await tx.run('update first_access_links set sent_to = ? where token_hash = ?', [address, tokenHash])
}
