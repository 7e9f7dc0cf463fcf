import type { Database } from '../database/connect.js'
import {
  createCommitAndAwaitNodes,
  createPerformDryRun,
  type CommitAndAwaitNodes,
  type PerformDryRun,
} from './commit-and-await-nodes.js'
import { leaseEnd, type Clock } from './lease.js'

/** The first timeline: of a database that has never been failed over. */
const firstTimeline = '00000001'

interface Options {
  database: Database
  clock: Clock
  /** No node's lease is longer. */
  longestLeaseMs: number
}

/**
 * A process that writes and is no node: it remembers nothing and waits for those that do. It has not seen
 * what came before, so that after a failover, whenever that was, it waits as long as a lease of the lost
 * history could live.
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
