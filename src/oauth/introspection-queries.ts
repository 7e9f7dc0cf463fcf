import type { Sql } from '../database/connect.js'

/** Whether that user is a program's account. */
export async function isServiceAccount(sql: Sql, userId: string): Promise<boolean> {
  const [user] = await sql.rows<{ is: boolean }>(
    'select is_service_account as "is" from users where id = ?',
    [userId],
  )
  return user?.is ?? false
}

/** What may be told of a refresh token that counts. */
export interface LiveRefreshToken {
  username: string
  sessionId: string
  issuedAt: Date
  expiresAt: Date
}

/**
 * The refresh token with that hash, as long as it has not been used, has not expired, and its session and
 * user go on.
 */
export async function findLiveRefreshToken(
  sql: Sql,
  tokenHash: string,
  sessionDays: number,
): Promise<LiveRefreshToken | undefined> {
  const [row] = await sql.rows<LiveRefreshToken>(
    `
    select u.username,
           s.id as "sessionId",
           r.issued_at as "issuedAt",
           least(r.expires_at, s.created_at + make_interval(days => ?)) as "expiresAt"
      from refresh_tokens r
      join sessions s on s.id = r.session_id
      join users u on u.id = s.user_id
     where r.token_hash = ? and r.spent_at is null and s.ended_at is null and u.enabled
       and least(r.expires_at, s.created_at + make_interval(days => ?)) > now()`,
    [sessionDays, tokenHash, sessionDays],
  )
  return row
}
