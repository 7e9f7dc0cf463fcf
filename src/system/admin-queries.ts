import { isUuid } from '../domain/ids.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
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

/** The user of that id or exact username, who stays as they are until the transaction ends. */
export async function findUserToPromote(
  tx: CoherentTx,
  named: string,
): Promise<(ListedSysAdmin & { isSysAdmin: boolean }) | undefined> {
  const [user] = await tx.rows<ListedSysAdmin & { isSysAdmin: boolean }>(
    `
    select ${columns}, is_sys_admin as "isSysAdmin"
      from users
     where ${isUuid(named) ? 'id = ?::uuid' : 'username = ?'}
       for no key update`,
    [named],
  )
  return user
}

/** Makes a user a SysAdmin, or none. */
export async function setSysAdmin(tx: CoherentTx, id: string, isSysAdmin: boolean): Promise<void> {
  await tx.run('update users set is_sys_admin = ? where id = ?', [isSysAdmin, id])
}
