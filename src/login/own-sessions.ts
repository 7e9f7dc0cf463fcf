import { recordChange, type Actor } from '../audit/record-change.js'
import {
  endSessions,
  endSessionsOfUser,
  findSessionOfUser,
  withdrawLinksOf,
} from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { GatewayError } from '../errors.js'

/** Ends one session of a user, and audits it. Throws `not_found` for a session that is not theirs. */
export async function endOwnSession(
  tx: CoherentTx,
  { id, userId, actor }: { id: string; userId: string; actor: Actor },
): Promise<void> {
  if (!(await findSessionOfUser(tx, id, userId)))
    throw new GatewayError('not_found', 'You have no session with this id')
  await endSessions(tx, [id])
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'session_ended',
    subject: `session:${id}`,
    after: { by: 'user' },
  })
}

/** Ends all sessions of a user, withdraws their links to a first password, and audits it. */
export async function endAllOwnSessions(
  tx: CoherentTx,
  { userId, actor }: { userId: string; actor: Actor },
): Promise<void> {
  const sessions = await endSessionsOfUser(tx, userId)
  await withdrawLinksOf(tx, userId)
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'sessions_ended',
    subject: `user:${userId}`,
    after: { by: 'user', sessions: sessions.length },
  })
}
