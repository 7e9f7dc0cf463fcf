import type { Sql } from '../database/connect.js'

/** Lists the kinds of factors that a user has. */
export async function listEnrolledKinds(sql: Sql, userId: string): Promise<string[]> {
  const rows = await sql.rows<{ kind: string }>(
    'select distinct kind from user_factors where user_id = ? order by kind desc',
    [userId],
  )
  return rows.map(({ kind }) => kind)
}
