import { withdrawLinksOf } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/coherent.js'

/**
 * Replaces a password that still is the one that was checked, and withdraws links to set one. Answers whether it was. Identities are unlinked unless they are
 * to be kept: somebody who knew the old password may have linked one of their own.
 */
export async function replacePasswordHash(tx: CoherentTx, userId: string, { from, to, keepIdentities }: { from: string | null; to: string; keepIdentities: boolean }): Promise<boolean> {
  const replaced = await tx.run('update users set password_hash = ? where id = ? and password_hash = ?', [to, userId, from])
  await withdrawLinksOf(tx, userId)
  if (!keepIdentities) await tx.run('delete from user_identities where user_id = ?', [userId])
  return replaced > 0
}
