import type { Database } from '../database/connect.js'
import { clockDrift, type Clock } from './lease.js'
import { deleteSilentNode, listNodeSeqs, pruneChanges } from './node-queries.js'

/** Shorter silences are nobody's business but a writer's. */
const leastSilenceMs = 10_000

interface Dependencies {
  database: Database
  clock: Clock
  /** Told how long the lease of each node is. */
  onLease: (leaseMs: number) => void
}

/**
 * Returns what is to be done every few seconds: takes off the list the nodes that are dead, and forgets
 * changes that all others have applied. A node is dead when its row has stayed the same for longer than its
 * lease, by this process's monotonic clock: every lease that it could hold was granted by a renewal that had
 * been executed, and so sent, when the row was first seen like that.
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
