import { recordChange } from '../audit/record-change.js'
import { endLogins, type Presented } from '../authentication/end-queries.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import type { Origin } from './issue-token.js'
import { areIssued } from './refresh-queries.js'

/**
 * Ends the logins that a caller shows, and audits each. Without a token that is ours it asks for nothing. When
 * it returns, no node accepts their tokens any more.
 */
export async function logOut(
  { sql, commitAndAwaitNodes }: { sql: Sql; commitAndAwaitNodes: CommitAndAwaitNodes },
  presented: Presented,
  { requestId, address }: Pick<Origin, 'requestId' | 'address'>,
): Promise<void> {
  const { tokenIds, refreshHashes } = presented
  const isOurs = tokenIds.length > 0 || (refreshHashes.length > 0 && (await areIssued(sql, refreshHashes)))
  if (!isOurs) return
  await commitAndAwaitNodes(async (tx) => {
    for (const { id, userId } of await endLogins(tx, presented)) {
      await recordChange(tx, {
        actor: { userId, requestId, address },
        mandateId: 'system',
        action: 'session_ended',
        subject: `session:${id}`,
        after: { by: 'logout' },
      })
    }
  })
}
