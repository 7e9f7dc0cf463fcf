import { recordChange, type Actor } from '../audit/record-change.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { revokeToken } from './token-queries.js'

/** Revokes a token, and audits it. Returns the id of its user; undefined if there is no such token. */
export async function endToken(tx: CoherentTx, id: string, actor: Actor): Promise<string | undefined> {
  const userId = await revokeToken(tx, id)
  if (userId === undefined) return undefined
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'token_revoked',
    subject: `token:${id}`,
    before: { userId },
  })
  return userId
}
