import type { Sql } from '../database/connect.js'

/** A session as its user sees it. */
export interface ListedSession {
  id: string
  authority: string
  createdAt: Date
  lastSeenAt: Date
  address: string | null
  userAgent: string | null
  /** Where it stands in the list. */
  position: string
}

/**
 * Sessions of a user that can still be used, by an access token or a refresh token, newest first; those
 * behind the position `after` only. `sessionDays` is the age at which sessions end.
 */
export async function listLiveSessions(
  sql: Sql,
  userId: string,
  { after, atMost, sessionDays }: { after: string | undefined; atMost: number; sessionDays: number },
): Promise<ListedSession[]> {
  const [createdAt = null, id = null] = after?.split(' ') ?? []
  return await sql.rows<ListedSession>(
    `
    select id, authority, created_at as "createdAt", last_seen_at as "lastSeenAt", address, user_agent as "userAgent",
           to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' ' || id as position
      from sessions s
     where user_id = ? and ended_at is null
       and (?::timestamptz is null or (created_at, id) < (?::timestamptz, ?::uuid))
       and (exists (select from tokens t where t.session_id = s.id and t.status = 'active' and t.expires_at > now())
         or exists (select from refresh_tokens r where r.session_id = s.id and r.spent_at is null and least(r.expires_at, s.created_at + make_interval(days => ?)) > now()))
     order by created_at desc, id desc
     limit ?`,
    [userId, createdAt, createdAt, id, sessionDays, atMost],
  )
}
