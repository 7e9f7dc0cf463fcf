import type { Database } from '../database/connect.js'
import { createCoherent, createRehearse, type Coherent, type Rehearse } from './coherent.js'
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
  coherent: Coherent
  rehearse: Rehearse
} {
  const hasFailedOver = (identity: string) => identity.split('/')[1] !== firstTimeline
  return {
    coherent: createCoherent({
      database,
      clock,
      renewNow: () => undefined,
      foreignLeasesEndAt: (identity) =>
        hasFailedOver(identity) ? leaseEnd(clock, longestLeaseMs) : Number.NEGATIVE_INFINITY,
    }),
    rehearse: createRehearse(database),
  }
}
