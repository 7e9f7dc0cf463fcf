import type { Database } from '../database/connect.js'
import { clockDrift, type Clock } from './lease.js'
import { deleteSilentNode, listNodeSeqs, pruneChanges } from './node-queries.js'

/** Shorter silences matter to a writer only. */
const leastSilenceMs = 10_000

interface Dependencies {
  database: Database
  clock: Clock
  /** Receives the length of each node's lease. */
  onLease: (leaseMs: number) => void
}

/**
 * Returns the function that cleans up every few seconds: it deletes the rows of dead nodes, and the changes
 * that all others have applied. A node is dead when its row has not changed for longer than its lease, by
 * this process's monotonic clock. Any lease that it could hold was granted by a renewal sent before the row
 * was first seen in that state.
 */
export function sweepNodes({
  database: { unconfirmed: sql },
  clock,
  onLease,
}: Dependencies): () => Promise<void> {
  let seen = new Map<string, { seq: string; since: number }>()
  return async () => {
    const nodes = await listNodeSeqs(sql)
    const now = clock.monotonic()
    seen = new Map(
      nodes.map(({ id, seq }) => {
        const before = seen.get(id)
        return [id, before?.seq === seq ? before : { seq, since: now }]
      }),
    )
    for (const { id, seq, leaseMs } of nodes) {
      onLease(leaseMs)
      const silentMs = now - (seen.get(id)?.since ?? now)
      if (silentMs > Math.max(leaseMs * (1 + clockDrift), leastSilenceMs))
        await deleteSilentNode(sql, id, seq)
    }
    await pruneChanges(sql)
  }
}
