import type { CoherentTx } from '../coherence/coherent.js'
import type { User } from '../coherence/directory.js'
import type { Sql } from '../database/connect.js'

/** A user, as those who govern users see one. */
export interface ListedUser extends User {
  enabled: boolean
}

const columns = 'id, username, email, full_name as "fullName", enabled, is_sys_admin as "isSysAdmin", is_platform_admin as "isPlatformAdmin"'

/** Users by username, those after `after` only. */
export async function listUsers(sql: Sql, { after, atMost }: { after: string | undefined; atMost: number }): Promise<ListedUser[]> {
  return await sql.rows<ListedUser>(`select ${columns} from users where username > ? order by username limit ?`, [after ?? '', atMost])
}

/** The user with that id, who stays as they are until the transaction ends. */
export async function getUserForUpdate(tx: CoherentTx, id: string): Promise<ListedUser | undefined> {
  const [user] = await tx.rows<ListedUser>(`select ${columns} from users where id = ? for update`, [id])
  return user
}

/** All who hold a platform level and are enabled, locked in one order, so that two of them cannot be removed at once. */
export async function lockEnabledAdmins(tx: CoherentTx): Promise<ListedUser[]> {
  return await tx.rows<ListedUser>(`select ${columns} from users where enabled and (is_sys_admin or is_platform_admin) order by id for update`)
}

/** Lets a user in, or not. */
export async function setUserEnabled(tx: CoherentTx, id: string, enabled: boolean): Promise<void> {
  await tx.run('update users set enabled = ? where id = ?', [enabled, id])
}

/** Ends all sessions of a user. */
export async function endSessionsOfUser(tx: CoherentTx, userId: string): Promise<void> {
  await tx.run('update sessions set ended_at = now() where user_id = ? and ended_at is null', [userId])
}
