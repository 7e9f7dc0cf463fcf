import type { Tx } from '../database/connect.js'

const administrationLock = 7_162_050

/**
 * Makes admins' changes, and changes of who is an admin, run one after the other. Until the transaction ends,
 * only it changes a user's level.
 */
export async function lockAdministration(tx: Tx): Promise<void> {
  await tx.rows('select pg_advisory_xact_lock(?)', [administrationLock])
}

/** Finds the levels of an enabled user, as the transaction sees them. */
export async function findLevels(
  tx: Tx,
  userId: string,
): Promise<{ isSysAdmin: boolean; isPlatformAdmin: boolean } | undefined> {
  const [levels] = await tx.rows<{ isSysAdmin: boolean; isPlatformAdmin: boolean }>(
    'select is_sys_admin as "isSysAdmin", is_platform_admin as "isPlatformAdmin" from users where id = ? and enabled',
    [userId],
  )
  return levels
}
