import { recordChange, type Actor } from '../audit/record-change.js'
import { endSessions } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { findSessionOwner } from './token-queries.js'

/** Ends a session with all its tokens. Returns the id of its user; undefined if there is no such session. */
export async function endSession(tx: CoherentTx, id: string, actor: Actor): Promise<string | undefined> {
  const userId = await findSessionOwner(tx, id)
  if (userId === undefined) return undefined
  await endSessions(tx, [id])
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'session_ended',
    subject: `session:${id}`,
    before: { userId },
  })
  return userId
}
