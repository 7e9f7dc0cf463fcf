import type { Sql } from '../database/connect.js'

/** Stamps the last uses of sessions: ids, and milliseconds since 1970. A later use stays. */
export async function stampSessionUses(
  sql: Sql,
  uses: readonly (readonly [string, number])[],
): Promise<void> {
  await sql.run(
    `
    update sessions s
       set last_used_at = u.at
      from (
             select id, to_timestamp(ms / 1000.0) as at
               from unnest(?::uuid[], ?::float8[]) as t (id, ms)
           ) u
     where s.id = u.id
       and (s.last_used_at is null or s.last_used_at < u.at)`,
    [uses.map(([id]) => id), uses.map(([, atMs]) => String(atMs))],
  )
}

/** Finds when a session was used last, in milliseconds since 1970; null for never. */
export async function findSessionUse(sql: Sql, sessionId: string): Promise<number | null> {
  const [row] = await sql.rows<{ at: number | null }>(
    'select extract(epoch from last_used_at)::float8 * 1000 as at from sessions where id = ?',
    [sessionId],
  )
  return row?.at ?? null
}
