import type { CommitAndAwaitNodes, CoherentTx, PerformDryRun } from '../coherence/commit-and-await-nodes.js'
import { compareAuthority } from '../directory/authority.js'
import { previewed, type ChangeOutcome } from '../directory/scope.js'

/** What changes on all nodes, or is tried and taken back. */
export interface Changing {
  commitAndAwaitNodes: CommitAndAwaitNodes
  performDryRun: PerformDryRun
}

/** A change of what somebody is let in by. */
export interface LoginChange {
  /** Find out what it would do, and do nothing. */
  dryRun: boolean
  /** Whose logins it may end. */
  ownerOf: (tx: CoherentTx) => Promise<string | undefined>
  change: (tx: CoherentTx) => Promise<void>
}

/**
 * Changes what somebody is let in by, on all nodes; or, for a preview, finds out which of their sessions and
 * tokens that would end.
 */
export async function changeLogins(
  { commitAndAwaitNodes, performDryRun }: Changing,
  { dryRun, ownerOf, change }: LoginChange,
): Promise<ChangeOutcome<void>> {
  if (!dryRun) return await commitAndAwaitNodes(change)
  const effect = await performDryRun(async (tx) => {
    const userId = await ownerOf(tx)
    const watch = compareAuthority(tx, { atMost: previewed })
    if (userId !== undefined) await watch.about({ userId })
    await change(tx)
    return await watch.effect()
  })
  return { effect }
}
