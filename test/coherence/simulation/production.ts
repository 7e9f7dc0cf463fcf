import { createCoherent } from '../../../src/coherence/coherent.js'
import { createLease } from '../../../src/coherence/lease.js'
import { createMemory } from '../../../src/coherence/memory.js'
import { sweepNodes } from '../../../src/coherence/sweep-nodes.js'

/** The code that is simulated: the gateway's own, or a mutant of it. */
export interface Production {
  createCoherent: typeof createCoherent
  createLease: typeof createLease
  createMemory: typeof createMemory
  sweepNodes: typeof sweepNodes
}

export const production: Production = { createCoherent, createLease, createMemory, sweepNodes }
