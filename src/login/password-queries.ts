import type { CoherentTx } from '../coherence/coherent.js'

/** Replaces a password that still is the one that was checked, and forgets links to set one. Answers whether it was. */
export async function replacePasswordHash(tx: CoherentTx, userId: string, { from, to }: { from: string | null; to: string }): Promise<boolean> {
  const replaced = await tx.run('update users set password_hash = ? where id = ? and password_hash = ?', [to, userId, from])
  await tx.run('delete from first_access_links where user_id = ?', [userId])
  return replaced > 0
}
