import type { Tx } from '../database/connect.js'

const administrationLock = 7_162_050

/**
 * Admins' changes and changes of who is an admin are made one after the other: until the transaction ends,
 * nobody's level changes but by it.
 */
export async function lockAdministration(tx: Tx): Promise<void> {
  await tx.rows('select pg_advisory_xact_lock(?)', [administrationLock])
}

/** The levels of a user who is enabled, as the transaction sees them. */
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
