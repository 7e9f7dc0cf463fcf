import type { CoherentTx } from '../coherence/coherent.js'
import type { Sql } from '../database/connect.js'

/** A SysAdmin. */
export interface ListedSysAdmin {
  id: string
  username: string
  fullName: string | null
  enabled: boolean
}

const columns = 'id, username, full_name as "fullName", enabled'

/** All SysAdmins by username: they are few. */
export async function listSysAdmins(sql: Sql): Promise<ListedSysAdmin[]> {
  return await sql.rows(`select ${columns} from users where is_sys_admin order by username`)
}

/** All SysAdmins who are enabled, locked in one order, so that two of them cannot be removed at once. */
export async function lockSysAdmins(tx: CoherentTx): Promise<ListedSysAdmin[]> {
  return await tx.rows(`select ${columns} from users where is_sys_admin and enabled order by id for no key update`)
}

/** The user with that id, who stays as they are until the transaction ends. */
export async function findUserToPromote(tx: CoherentTx, id: string): Promise<(ListedSysAdmin & { isSysAdmin: boolean }) | undefined> {
  const [user] = await tx.rows<ListedSysAdmin & { isSysAdmin: boolean }>(`select ${columns}, is_sys_admin as "isSysAdmin" from users where id = ? for no key update`, [id])
  return user
}

/** Makes a user a SysAdmin, or none. Links to set their password, which others may have asked for before, open nothing from then on. */
export async function setSysAdmin(tx: CoherentTx, id: string, isSysAdmin: boolean): Promise<void> {
  await tx.run('update users set is_sys_admin = ? where id = ?', [isSysAdmin, id])
  if (isSysAdmin) await tx.run('delete from first_access_links where user_id = ?', [id])
}
