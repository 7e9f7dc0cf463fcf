import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import type { User } from '../coherence/directory.js'

/** A user as a login needs one. */
export interface LoginUser extends User {
  enabled: boolean
  passwordHash: string | null
}

interface UserRow {
  id: string
  username: string
  email: string | null
  full_name: string | null
  password_hash: string | null
  enabled: boolean
  is_sys_admin: boolean
  is_platform_admin: boolean
}

/**
 * The user of one of these names, in whatever case it is stored; the first name, exactly as written, before
 * the others.
 */
export async function findLoginUser(sql: Sql, names: string[]): Promise<LoginUser | undefined> {
  const [row] = await sql.rows<UserRow>(
    `
    select id, username, email, full_name, password_hash, enabled, is_sys_admin, is_platform_admin
      from users
     where username = any (?::text[]) or lower(username) = any (?::text[])
     order by username <> ?, username
     limit 1`,
    [names, names, names[0] ?? ''],
  )
  return (
    row && {
      id: row.id,
      username: row.username,
      email: row.email,
      fullName: row.full_name,
      passwordHash: row.password_hash,
      enabled: row.enabled,
      isSysAdmin: row.is_sys_admin,
      isPlatformAdmin: row.is_platform_admin,
    }
  )
}

/**
 * Returns whether the user still is enabled and, where a hash is given, has that password: until the
 * transaction ends, nobody changes it. Whoever takes a login away changes the user's row first and then ends
 * the sessions, so that a login that is being made is either refused here or ended there.
 */
export async function lockLoginUser(tx: Sql, userId: string, passwordHash?: string | null): Promise<boolean> {
  const [user] = await tx.rows<{ enabled: boolean; passwordHash: string | null }>(
    'select enabled, password_hash as "passwordHash" from users where id = ? for share',
    [userId],
  )
  return user?.enabled === true && (passwordHash === undefined || user.passwordHash === passwordHash)
}

interface NewSession {
  id: string
  userId: string
  authority: string
  /** The provider of authority `oidc`. */
  providerId: string | null
  address: string
  userAgent: string | null
}

/** Begins a session: one login on one device. */
export async function insertSession(tx: Sql, session: NewSession): Promise<void> {
  await tx.run(
    `
    insert into sessions (id, user_id, authority, provider_id, address, user_agent)
    values (?, ?, ?, ?, ?, ?)`,
    [session.id, session.userId, session.authority, session.providerId, session.address, session.userAgent],
  )
}

interface NewToken {
  id: string
  userId: string
  authority: string
  purpose?: 'auth_session' | 'api_token'
  sessionId: string | null
  issuedAt: Date
  expiresAt: Date
  /** For people; or what a token without session was given for. */
  label?: string
  /** The admin who made it for a program. */
  createdBy?: string | null
  /** The id of the key that signs it. */
  kid: string
}

/**
 * Writes the row that makes an access token count. Throws `directory_unavailable` where the key that signs it
 * has been retired: nobody would take it.
 */
export async function insertAccessToken(tx: Sql, token: NewToken): Promise<void> {
  const written = await tx.run(
    `
    insert into tokens (id, user_id, authority, purpose, session_id, status, issued_at, expires_at, label, created_by)
    select ?::uuid, ?::uuid, ?, ?, ?::uuid, 'active', ?::timestamptz, ?::timestamptz, ?, ?::uuid
     where not exists (select from token_keys where kid = ? and retired_at is not null)`,
    [
      token.id,
      token.userId,
      token.authority,
      token.purpose ?? 'auth_session',
      token.sessionId,
      token.issuedAt,
      token.expiresAt,
      token.label ?? null,
      token.createdBy ?? null,
      token.kid,
    ],
  )
  if (written === 0)
    throw new GatewayError(
      'directory_unavailable',
      'The key that signs tokens has been retired: nobody can sign in here until the gateway is restarted with another one',
    )
}
