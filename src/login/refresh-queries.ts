import type { Sql } from '../database/connect.js'

interface NewRefreshToken {
  hash: string
  sessionId: string
  /** Not beyond what is left of the session. */
  expiryDays: number
  sessionDays: number
}

/**
 * Writes a refresh token's hash. Answers for how many seconds it is good: so many days, but no longer than
 * its session may last.
 */
export async function insertRefreshToken(
  tx: Sql,
  { hash, sessionId, expiryDays, sessionDays }: NewRefreshToken,
): Promise<number> {
  const [row] = await tx.rows<{ seconds: number }>(
    `
    insert into refresh_tokens (token_hash, session_id, expires_at)
    select ?, s.id, least(now() + make_interval(days => ?), s.created_at + make_interval(days => ?)) from sessions s where s.id = ?
    returning extract(epoch from expires_at - now())::float8 as seconds`,
    [hash, expiryDays, sessionDays, sessionId],
  )
  if (!row) throw new Error('a refresh token was issued for a session that is not there')
  return Math.round(row.seconds)
}

/**
 * Whether one of these refresh tokens was ever issued: anybody can invent one, and a coherent write for it
 * would make all nodes busy.
 */
export async function areIssued(sql: Sql, refreshHashes: string[]): Promise<boolean> {
  const found = await sql.rows('select from refresh_tokens where token_hash = any (?::text[]) limit 1', [
    refreshHashes,
  ])
  return found.length > 0
}

/** A refresh token with all that decides about it, as of one moment. */
export interface RefreshState {
  sessionId: string
  authority: string
  user: {
    id: string
    username: string
    email: string | null
    fullName: string | null
    isSysAdmin: boolean
    isPlatformAdmin: boolean
  }
  userEnabled: boolean
  sessionEnded: boolean
  /** By the token's own end, or the session's age. */
  expired: boolean
  /** Null as long as it has not been used. */
  spentSecondsAgo: number | null
  /** False for a token that was spent when its session was proved again. */
  hasSuccessor: boolean
  successor: { hash: string; spent: boolean; expiresInSeconds: number } | null
  /** What was issued when it was spent, as far as it still is there. */
  access: { id: string; issuedAt: Date; expiresAt: Date } | null
}

interface RefreshRow extends Omit<RefreshState, 'user' | 'hasSuccessor' | 'successor' | 'access'> {
  userId: string
  username: string
  email: string | null
  fullName: string | null
  isSysAdmin: boolean
  isPlatformAdmin: boolean
  successorHash: string | null
  successorSpent: boolean
  successorSeconds: number | null
  accessTokenId: string | null
  accessIssuedAt: Date | null
  accessExpiresAt: Date | null
}

/**
 * What is known of the refresh token with that hash. Times are compared by the database's clock, which is one
 * for all nodes.
 */
export async function findRefreshState(
  sql: Sql,
  hash: string,
  sessionDays: number,
): Promise<RefreshState | undefined> {
  const [row] = await sql.rows<RefreshRow>(
    `
    select r.session_id as "sessionId", s.authority, s.ended_at is not null as "sessionEnded", u.enabled as "userEnabled",
           u.id as "userId", u.username, u.email, u.full_name as "fullName", u.is_sys_admin as "isSysAdmin", u.is_platform_admin as "isPlatformAdmin",
           least(r.expires_at, s.created_at + make_interval(days => ?)) <= statement_timestamp() as expired,
           extract(epoch from statement_timestamp() - r.spent_at)::float8 as "spentSecondsAgo",
           r.successor_hash as "successorHash", next.spent_at is not null as "successorSpent", extract(epoch from next.expires_at - statement_timestamp())::float8 as "successorSeconds",
           t.id as "accessTokenId", t.issued_at as "accessIssuedAt", t.expires_at as "accessExpiresAt"
      from refresh_tokens r
      join sessions s on s.id = r.session_id
      join users u on u.id = s.user_id
      left join refresh_tokens next on next.token_hash = r.successor_hash
      left join tokens t on t.id = r.access_token_id
     where r.token_hash = ?`,
    [sessionDays, hash],
  )
  return row && stateOf(row)
}

function stateOf({
  sessionId,
  authority,
  sessionEnded,
  userEnabled,
  expired,
  spentSecondsAgo,
  ...row
}: RefreshRow): RefreshState {
  const { userId: id, username, email, fullName, isSysAdmin, isPlatformAdmin } = row
  const { successorHash, successorSpent, successorSeconds, accessTokenId, accessIssuedAt, accessExpiresAt } =
    row
  return {
    sessionId,
    authority,
    sessionEnded,
    userEnabled,
    expired,
    spentSecondsAgo,
    hasSuccessor: successorHash !== null,
    user: { id, username, email, fullName, isSysAdmin, isPlatformAdmin },
    successor:
      successorHash && successorSeconds !== null
        ? { hash: successorHash, spent: successorSpent, expiresInSeconds: Math.round(successorSeconds) }
        : null,
    access:
      accessTokenId && accessIssuedAt && accessExpiresAt
        ? { id: accessTokenId, issuedAt: accessIssuedAt, expiresAt: accessExpiresAt }
        : null,
  }
}

/**
 * Waits for whoever else works on the session, and for none to do so until the transaction ends. The user
 * first, as those do who end all sessions of one.
 */
export async function lockSession(
  tx: Sql,
  { sessionId, userId }: { sessionId: string; userId: string },
): Promise<void> {
  await tx.rows('select from users where id = ? for share', [userId])
  await tx.rows('select from sessions where id = ? for update', [sessionId])
}

/** Notes that a token has been used, and what was given for it. The session was seen just now. */
export async function spendRefreshToken(
  tx: Sql,
  {
    hash,
    successorHash,
    accessTokenId,
    sessionId,
  }: { hash: string; successorHash: string; accessTokenId: string; sessionId: string },
): Promise<void> {
  await tx.run(
    'update refresh_tokens set spent_at = clock_timestamp(), successor_hash = ?, access_token_id = ? where token_hash = ?',
    [successorHash, accessTokenId, hash],
  )
  await tx.run('update sessions set last_seen_at = now() where id = ?', [sessionId])
}
