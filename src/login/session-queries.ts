import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import type { User } from '../coherence/directory.js'
import type { Proven } from './proven.js'

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

const columns = 'id, username, email, full_name, password_hash, enabled, is_sys_admin, is_platform_admin'

const userOf = (row: UserRow): LoginUser => ({
  id: row.id,
  username: row.username,
  email: row.email,
  fullName: row.full_name,
  passwordHash: row.password_hash,
  enabled: row.enabled,
  isSysAdmin: row.is_sys_admin,
  isPlatformAdmin: row.is_platform_admin,
})

/**
 * The user of one of these names, in whatever case it is stored; the first name, exactly as written, before
 * the others.
 */
export async function findLoginUser(sql: Sql, names: string[]): Promise<LoginUser | undefined> {
  const [row] = await sql.rows<UserRow>(
    `
    select ${columns}
      from users
     where username = any (?::text[]) or lower(username) = any (?::text[])
     order by username <> ?, username
     limit 1`,
    [names, names, names[0] ?? ''],
  )
  return row && userOf(row)
}

/** The user of that id, as a login needs one. */
export async function findLoginUserById(sql: Sql, id: string): Promise<LoginUser | undefined> {
  const [row] = await sql.rows<UserRow>(`select ${columns} from users where id = ?`, [id])
  return row && userOf(row)
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
  proven: Proven
}

/** Begins a session: one login on one device. It was proved now, or when somebody else proved it. */
export async function insertSession(tx: Sql, session: NewSession): Promise<void> {
  const { proven } = session
  await tx.run(
    `
    insert into sessions (id, user_id, authority, provider_id, address, user_agent, amr, auth_time, mfa_at, phr_at)
    select ?::uuid, ?::uuid, ?, ?::uuid, ?, ?, ?::text[], proved.at,
           case when ?::boolean then proved.at end,
           case when ?::boolean then proved.at end
      from (select least(?::timestamptz, now()) as at) as proved`,
    [
      session.id,
      session.userId,
      session.authority,
      session.providerId,
      session.address,
      session.userAgent,
      [...proven.amr],
      proven.mfa,
      proven.phr,
      proven.at ?? null,
    ],
  )
}

/** An access token of a session, and how long it may last. */
interface NewSessionToken {
  id: string
  userId: string
  authority: string
  sessionId: string
  expiryMinutes: number
  /** The age at which sessions end. */
  sessionDays: number
  /** The id of the key that signs it. */
  kid: string
}

const keyRetired = () =>
  new GatewayError(
    'directory_unavailable',
    'The key that signs tokens has been retired: nobody can sign in here until the gateway is restarted with another one',
  )

/**
 * Writes the row that makes an access token of a session count, and returns its times. They are the
 * database's: which proofs of the session count for the token depends on when it was issued. It ends in whole
 * seconds, as tokens do, and not after its session. Throws `directory_unavailable` where the key that signs it
 * has been retired: nobody would take it.
 */
export async function insertSessionToken(
  tx: Sql,
  token: NewSessionToken,
): Promise<{ issuedAt: Date; expiresAt: Date }> {
  const [times] = await tx.rows<{ issuedAt: Date; expiresAt: Date }>(
    `
    with moment as materialized (select clock_timestamp() as at)
    insert into tokens (id, user_id, authority, purpose, session_id, status, issued_at, expires_at)
    select ?::uuid, ?::uuid, ?, 'auth_session', s.id, 'active', moment.at,
           date_trunc(
             'second',
             least(
               date_trunc('second', moment.at) + make_interval(mins => ?),
               s.created_at + make_interval(days => ?)
             )
           )
      from sessions s
     cross join moment
     where s.id = ?
       and not exists (select from token_keys where kid = ? and retired_at is not null)
    returning issued_at as "issuedAt", expires_at as "expiresAt"`,
    [
      token.id,
      token.userId,
      token.authority,
      token.expiryMinutes,
      token.sessionDays,
      token.sessionId,
      token.kid,
    ],
  )
  if (!times) throw keyRetired()
  return times
}

interface NewToken {
  id: string
  userId: string
  authority: string
  purpose?: 'auth_session' | 'api_token'
  sessionId: null
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
 * Writes the row that makes an access token without a session count. Throws `directory_unavailable` where the key that signs it
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
  if (written === 0) throw keyRetired()
}
