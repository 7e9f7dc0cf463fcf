import type { User } from '../coherence/directory.js'
import type { Sql } from '../database/connect.js'

interface ListedUserRow extends User {
  enabled: boolean
}

/** Users by username, those after `after` only. */
export async function listUsers(sql: Sql, { after, atMost }: { after: string | undefined; atMost: number }): Promise<ListedUserRow[]> {
  return await sql.rows<ListedUserRow>(`
    select id, username, email, full_name as "fullName", enabled, is_sys_admin as "isSysAdmin", is_platform_admin as "isPlatformAdmin"
      from users
     where username > ?
     order by username
     limit ?`, [after ?? '', atMost])
}
