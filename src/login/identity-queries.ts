import type { SignInAuthority } from '../domain/authorities.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'
import type { Identity, SignInProvider } from './sign-in-provider.js'

/** The provider of an identity. */
type IdentityProvider = Pick<SignInProvider, 'authority' | 'id'>

/** A user's identity at an authority, as they see it. */
export interface LinkedIdentity {
  id: string
  authority: SignInAuthority
  /** The provider of authority `oidc`, and its name. */
  providerId?: string
  label?: string
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
 * Returns the condition by which an identity is found, with its bindings. A row of a provider has one issuer;
 * a known provider may have many.
 */
function isIdentity(
  { authority, id }: IdentityProvider,
  { issuer, subject }: Identity,
): [condition: string, bindings: string[]] {
  return id === null
    ? ['authority = ? and issuer = ? and subject = ?', [authority, issuer, subject]]
    : ['provider_id = ? and subject = ?', [id, subject]]
}

/**
 * Returns the user who linked this identity. It is found by provider, issuer and subject, never by an
 * address. Service accounts do not sign in.
 */
export async function findIdentityOwner(
  sql: Sql,
  provider: IdentityProvider,
  identity: Identity,
): Promise<IdentityOwner | undefined> {
  const [condition, bindings] = isIdentity(provider, identity)
  const [row] = await sql.rows<IdentityOwner>(
    `
    select i.id as "identityId", u.id, u.username, u.enabled
      from (select * from user_identities where ${condition}) as i
      join users u on u.id = i.user_id
     where not u.is_service_account`,
    bindings,
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

/** Links an identity. Returns its id and owner: the first user who links it keeps it. */
export async function linkIdentity(
  tx: Tx,
  userId: string,
  provider: IdentityProvider,
  identity: Identity,
): Promise<{ id: string; userId: string; isNew: boolean }> {
  const { issuer, subject, email } = identity
  // The row of the provider has the issuer, so that two providers of one issuer may have the same subject.
  const [made] = await tx.rows<{ id: string }>(
    `
    insert into user_identities (user_id, authority, provider_id, issuer, subject, email)
    values (?, ?, ?, ?, ?, ?)
    on conflict do nothing
    returning id`,
    [userId, provider.authority, provider.id, provider.id === null ? issuer : null, subject, email],
  )
  if (made) return { id: made.id, userId, isNew: true }
  const [condition, bindings] = isIdentity(provider, identity)
  const [known] = await tx.rows<{ id: string; userId: string }>(
    `select id, user_id as "userId" from user_identities where ${condition}`,
    bindings,
  )
  if (!known) throw new Error('an identity that is linked is not there')
  return { ...known, isNew: false }
}

interface IdentityRow extends Omit<LinkedIdentity, 'providerId' | 'label'> {
  providerId: string | null
  label: string | null
}

/** Lists a user's identities, oldest first. */
export async function listIdentities(sql: Sql, userId: string): Promise<LinkedIdentity[]> {
  const rows = await sql.rows<IdentityRow>(
    `
    select i.id,
           i.authority,
           i.provider_id as "providerId",
           p.label,
           i.email,
           i.linked_at as "linkedAt",
           i.last_used_at as "lastUsedAt"
      from user_identities i
      left join identity_providers p on p.id = i.provider_id
     where i.user_id = ?
     order by i.linked_at, i.id`,
    [userId],
  )
  return rows.map(({ providerId, label, ...row }) => ({
    ...row,
    ...(providerId === null || label === null ? {} : { providerId, label }),
  }))
}

/** Locks a user's ways in. Answers whether they have a password. */
export async function lockWaysIn(tx: CoherentTx, userId: string): Promise<{ hasPassword: boolean }> {
  const [user] = await tx.rows<{ hasPassword: boolean }>(
    'select password_hash is not null as "hasPassword" from users where id = ? for update',
    [userId],
  )
  return { hasPassword: user?.hasPassword ?? false }
}

/** Removes an identity. Returns the live sessions of its provider, which end with it, but one. */
export async function unlinkIdentity(
  tx: CoherentTx,
  userId: string,
  {
    id,
    authority,
    providerId = null,
  }: Pick<LinkedIdentity, 'id' | 'authority'> & { providerId?: string | null },
  { except }: { except: string },
): Promise<string[]> {
  await tx.run('delete from user_identities where id = ? and user_id = ?', [id, userId])
  const sessions = await tx.rows<{ id: string }>(
    `
    select id
      from sessions
     where user_id = ? and authority = ? and provider_id is not distinct from ?::uuid
       and ended_at is null and id <> ?`,
    [userId, authority, providerId, except],
  )
  return sessions.map(({ id: session }) => session)
}
