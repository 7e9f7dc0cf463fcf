import { createCommitAndAwaitNodes } from '../../../src/coherence/commit-and-await-nodes.js'
import { confirmReads } from '../../../src/database/confirmed.js'
import { createHistory } from '../../../src/database/history.js'
import { createLease } from '../../../src/coherence/lease.js'
import { createMemory } from '../../../src/coherence/memory.js'
import { sweepNodes } from '../../../src/coherence/sweep-nodes.js'

/** The code that is simulated: the gateway's own, or a mutant of it. */
export interface Production {
  confirmReads: typeof confirmReads
  createCommitAndAwaitNodes: typeof createCommitAndAwaitNodes
  createHistory: typeof createHistory
  createLease: typeof createLease
  createMemory: typeof createMemory
  sweepNodes: typeof sweepNodes
}

export const production: Production = {
  confirmReads,
  createCommitAndAwaitNodes,
  createHistory,
  createLease,
  createMemory,
  sweepNodes,
}
