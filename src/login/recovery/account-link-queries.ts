import type { CoherentTx } from '../../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../../database/connect.js'

/** What a mailed link to one's own account does. */
export type AccountLinkKind = 'password_reset' | 'email_confirm' | 'email_undo'

/** A link that works. */
export interface AccountLink {
  id: string
  userId: string
  username: string
  /** The account's address now. */
  currentEmail: string | null
  /** The address that the link was mailed to. */
  sentTo: string
  /** The address that the account gets by it. */
  email: string | null
  /** Of an undo: whether that address had been confirmed. */
  emailConfirmed: boolean | null
  createdAt: Date
}

const mayReset = 'u.enabled and not u.is_sys_admin and not u.is_service_account'
const working = `
  from account_links l
  join users u on u.id = l.user_id
 where l.kind = ? and l.token_hash = ? and l.expires_at > now()
   and (l.kind <> 'password_reset' or ${mayReset})`
const columns = `
l.id, l.user_id as "userId", u.username, u.email as "currentEmail", l.sent_to as "sentTo", l.email,
       l.email_confirmed as "emailConfirmed", l.created_at as "createdAt"`

/** Finds a link that works. */
export async function findAccountLink(
  sql: Sql,
  kind: AccountLinkKind,
  tokenHash: string,
): Promise<AccountLink | undefined> {
  const [link] = await sql.rows<AccountLink>(`select ${columns} ${working}`, [kind, tokenHash])
  return link
}

/**
 * Uses a link up. Of several at once one gets it. The account's row is locked first, as all changes of an
 * account do.
 */
export async function takeAccountLink(
  tx: CoherentTx,
  kind: AccountLinkKind,
  tokenHash: string,
): Promise<AccountLink | undefined> {
  await tx.rows(
    `
    select
      from users
     where id = (select l.user_id from account_links l where l.kind = ? and l.token_hash = ?)
       for update`,
    [kind, tokenHash],
  )
  const link = await findAccountLink(tx, kind, tokenHash)
  if (!link) return undefined
  return (await tx.run('delete from account_links where id = ?', [link.id])) > 0 ? link : undefined
}

/** Deletes the links of a user of some kinds. Their unsent messages are cancelled. */
export async function deleteAccountLinks(tx: Tx, userId: string, kinds: AccountLinkKind[]): Promise<void> {
  await tx.run('delete from account_links where user_id = ? and kind = any (?::text[])', [userId, kinds])
}

/** A link to be written. */
export interface NewAccountLink {
  kind: AccountLinkKind
  userId: string
  tokenHash: string
  sentTo: string
  email?: string | null
  emailConfirmed?: boolean
  seconds: number
}

/** Writes a link. Returns when it ends. */
export async function insertAccountLink(tx: Tx, link: NewAccountLink): Promise<Date> {
  const [row] = await tx.rows<{ expiresAt: Date }>(
    `
    insert into account_links (kind, user_id, token_hash, sent_to, email, email_confirmed, expires_at)
    values (?, ?, ?, ?, ?, ?, now() + make_interval(secs => ?))
    returning expires_at as "expiresAt"`,
    [
      link.kind,
      link.userId,
      link.tokenHash,
      link.sentTo,
      link.email ?? null,
      link.emailConfirmed ?? null,
      link.seconds,
    ],
  )
  if (!row) throw new Error('an insert answered no row')
  return row.expiresAt
}

/** Deletes the links of a user that were sent to other addresses since a moment. */
export async function deleteLinksSentElsewhere(
  tx: Tx,
  { userId, sentTo, createdAt }: AccountLink,
): Promise<void> {
  for (const table of ['account_links', 'first_access_links'])
    await tx.run(
      `delete from ${table} where user_id = ? and lower(sent_to) <> lower(?) and created_at >= ?`,
      [userId, sentTo, createdAt],
    )
}

/** An account whose password can be reset by mail. */
export interface Recoverable {
  id: string
  username: string
  email: string
}

/**
 * Lists the accounts that a request for a new password is about: the user of that id, and the three oldest of
 * that address. Accounts that sign in with a provider alone have no password to reset.
 */
export async function listRecoverable(
  sql: Sql,
  { userId, email }: { userId: string | null; email: string },
): Promise<Recoverable[]> {
  const recoverable = `
    u.email is not null and ${mayReset}
      and (u.password_hash is not null
        or not exists (select from user_identities i where i.user_id = u.id))`
  return await sql.rows<Recoverable>(
    `
    select u.id, u.username, u.email
      from users u
     where u.id = ?::uuid and ${recoverable}
    union
    (select u.id, u.username, u.email
       from users u
      where lower(u.email) = lower(?) and ${recoverable}
      order by u.created_at, u.id
      limit 3)`,
    [userId, email],
  )
}

/** Returns whether the account of that id can have its password reset; it stays so until the transaction ends. */
export async function lockRecoverable(tx: Tx, { id, email }: Recoverable): Promise<boolean> {
  return (
    (
      await tx.rows(`select from users u where u.id = ? and u.email = ? and ${mayReset} for update`, [
        id,
        email,
      ])
    ).length > 0
  )
}

/** Locks an account. Returns its address. */
export async function lockEmail(
  tx: Tx,
  userId: string,
): Promise<{ username: string; email: string | null; emailConfirmed: boolean } | undefined> {
  const [row] = await tx.rows<{ username: string; email: string | null; emailConfirmed: boolean }>(
    `
    select username, email, email_confirmed as "emailConfirmed"
      from users
     where id = ? and enabled
       for update`,
    [userId],
  )
  return row
}

/** Gives an account an address. */
export async function setEmail(
  tx: CoherentTx,
  userId: string,
  { email, confirmed }: { email: string | null; confirmed: boolean },
): Promise<void> {
  await tx.run('update users set email = ?, email_confirmed = ? where id = ?', [email, confirmed, userId])
}
