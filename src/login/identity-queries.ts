import type { SignInAuthority } from '../domain/authorities.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'
import type { Identity } from './sign-in-provider.js'

/** A user's identity at an authority, as they see it. */
export interface LinkedIdentity {
  id: string
  authority: SignInAuthority
  email: string | null
  linkedAt: Date
  lastUsedAt: Date | null
}

/** Whose an identity is. */
export interface IdentityOwner {
  identityId: string
  id: string
  username: string
  enabled: boolean
}

/**
 * The user whom somebody linked to this identity: by authority, issuer and subject, never by an address.
 * Service accounts do not sign in.
 */
export async function findIdentityOwner(
  sql: Sql,
  authority: SignInAuthority,
  { issuer, subject }: Identity,
): Promise<IdentityOwner | undefined> {
  const [row] = await sql.rows<IdentityOwner>(
    `
    select i.id as "identityId", u.id, u.username, u.enabled
      from user_identities i
      join users u on u.id = i.user_id
     where i.authority = ? and i.issuer = ? and i.subject = ? and not u.is_service_account`,
    [authority, issuer, subject],
  )
  return row
}

/** Notes that an identity was signed in with. Answers whether it still is linked to that user. */
export async function useIdentity(tx: Tx, { identityId, id }: IdentityOwner): Promise<boolean> {
  return (
    (await tx.run('update user_identities set last_used_at = now() where id = ? and user_id = ?', [
      identityId,
      id,
    ])) > 0
  )
}

/**
 * Keeps a user's sessions as they are until the transaction ends. Answers whether that session goes on, of a
 * user who is enabled.
 */
export async function lockLiveSession(
  tx: Tx,
  { userId, sessionId }: { userId: string; sessionId: string },
): Promise<boolean> {
  const users = await tx.rows('select from users where id = ? and enabled for share', [userId])
  const sessions = await tx.rows(
    'select from sessions where id = ? and user_id = ? and ended_at is null for share',
    [sessionId, userId],
  )
  return users.length > 0 && sessions.length > 0
}

/**
 * Returns whether somebody signed in by this session at most so many seconds ago, by the database's clock.
 */
export async function isSessionYoung(sql: Sql, sessionId: string, seconds: number): Promise<boolean> {
  return (
    (
      await sql.rows('select from sessions where id = ? and created_at > now() - make_interval(secs => ?)', [
        sessionId,
        seconds,
      ])
    ).length > 0
  )
}

/** Links an identity. Answers its id and owner: who had it linked before keeps it. */
export async function linkIdentity(
  tx: Tx,
  userId: string,
  authority: SignInAuthority,
  { issuer, subject, email }: Identity,
): Promise<{ id: string; userId: string; isNew: boolean }> {
  const [made] = await tx.rows<{ id: string }>(
    `
    insert into user_identities (user_id, authority, issuer, subject, email) values (?, ?, ?, ?, ?)
    on conflict (authority, issuer, subject) do nothing returning id`,
    [userId, authority, issuer, subject, email],
  )
  if (made) return { id: made.id, userId, isNew: true }
  const [known] = await tx.rows<{ id: string; userId: string }>(
    'select id, user_id as "userId" from user_identities where authority = ? and issuer = ? and subject = ?',
    [authority, issuer, subject],
  )
  if (!known) throw new Error('an identity that is linked is not there')
  return { ...known, isNew: false }
}

/** A user's identities, oldest first. */
export async function listIdentities(sql: Sql, userId: string): Promise<LinkedIdentity[]> {
  return await sql.rows<LinkedIdentity>(
    `
    select id, authority, email, linked_at as "linkedAt", last_used_at as "lastUsedAt"
      from user_identities where user_id = ? order by linked_at, id`,
    [userId],
  )
}

/** Locks a user's ways in. Answers whether they have a password. */
export async function lockWaysIn(tx: CoherentTx, userId: string): Promise<{ hasPassword: boolean }> {
  const [user] = await tx.rows<{ hasPassword: boolean }>(
    'select password_hash is not null as "hasPassword" from users where id = ? for update',
    [userId],
  )
  return { hasPassword: user?.hasPassword ?? false }
}

/** Removes an identity, and answers the sessions of its authority that go on and end with it. */
export async function unlinkIdentity(
  tx: CoherentTx,
  {
    id,
    userId,
    authority,
    except,
  }: { id: string; userId: string; authority: SignInAuthority; except: string },
): Promise<string[]> {
  await tx.run('delete from user_identities where id = ? and user_id = ?', [id, userId])
  const sessions = await tx.rows<{ id: string }>(
    'select id from sessions where user_id = ? and authority = ? and ended_at is null and id <> ?',
    [userId, authority, except],
  )
  return sessions.map(({ id: session }) => session)
}
