import type { Database } from '../database/connect.js'
import {
  createCommitAndAwaitNodes,
  createPerformDryRun,
  type CommitAndAwaitNodes,
  type PerformDryRun,
} from './commit-and-await-nodes.js'
import { leaseEnd, type Clock } from './lease.js'

/** The first timeline: that of a database without a failover. */
const firstTimeline = '00000001'

interface Options {
  database: Database
  clock: Clock
  /** The upper bound of all nodes' leases. */
  longestLeaseMs: number
}

/**
 * A process that writes and is no node: it has no memory, and waits for the nodes. It does not know what came
 * before. So after any failover it waits as long as a lease of the lost history could live.
 */
export function createWriter({ database, clock, longestLeaseMs }: Options): {
  commitAndAwaitNodes: CommitAndAwaitNodes
  performDryRun: PerformDryRun
} {
  const hasFailedOver = (identity: string) => identity.split('/')[1] !== firstTimeline
  return {
    commitAndAwaitNodes: createCommitAndAwaitNodes({
      database,
      clock,
      renewNow: () => undefined,
      foreignLeasesEndAt: (identity) =>
        hasFailedOver(identity) ? leaseEnd(clock, longestLeaseMs) : Number.NEGATIVE_INFINITY,
    }),
    performDryRun: createPerformDryRun(database),
  }
}
