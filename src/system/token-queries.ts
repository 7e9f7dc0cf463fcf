import type { CoherentTx } from '../coherence/coherent.js'

/** Revokes a token, also one that already was. Answers whether it exists. */
export async function revokeToken(tx: CoherentTx, id: string): Promise<boolean> {
  return await tx.run(`update tokens set status = 'revoked', revoked_at = coalesce(revoked_at, now()) where id = ?`, [id]) > 0
}
