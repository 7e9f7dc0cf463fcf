import type { Sql, Tx } from '../../database/connect.js'

/** Puts recovery codes in the place of all that a user had. */
export async function replaceRecoveryCodes(tx: Tx, userId: string, hashes: string[]): Promise<void> {
  await tx.run('delete from recovery_codes where user_id = ?', [userId])
  await tx.run('insert into recovery_codes (user_id, code_hash) select ?::uuid, unnest(?::text[])', [
    userId,
    hashes,
  ])
}

/** Uses a recovery code up: of two at once one wins. Returns whether there was one. */
export async function deleteRecoveryCode(sql: Sql, userId: string, hash: string): Promise<boolean> {
  return (await sql.run('delete from recovery_codes where user_id = ? and code_hash = ?', [userId, hash])) > 0
}

/** Returns how many recovery codes a user has left. */
export async function countRecoveryCodes(sql: Sql, userId: string): Promise<number> {
  const [row] = await sql.rows<{ left: number }>(
    'select count(*)::int as "left" from recovery_codes where user_id = ?',
    [userId],
  )
  return row?.left ?? 0
}

/** Removes all recovery codes of a user. */
export async function deleteRecoveryCodes(tx: Tx, userId: string): Promise<void> {
  await tx.run('delete from recovery_codes where user_id = ?', [userId])
}
