import { createCoherent } from '../../../src/coherence/coherent.js'
import { confirmReads } from '../../../src/database/confirmed.js'
import { createHistory } from '../../../src/database/history.js'
import { createLease } from '../../../src/coherence/lease.js'
import { createMemory } from '../../../src/coherence/memory.js'
import { sweepNodes } from '../../../src/coherence/sweep-nodes.js'

/** The code that is simulated: the gateway's own, or a mutant of it. */
export interface Production {
  confirmReads: typeof confirmReads
  createCoherent: typeof createCoherent
  createHistory: typeof createHistory
  createLease: typeof createLease
  createMemory: typeof createMemory
  sweepNodes: typeof sweepNodes
}

export const production: Production = {
  confirmReads,
  createCoherent,
  createHistory,
  createLease,
  createMemory,
  sweepNodes,
}
