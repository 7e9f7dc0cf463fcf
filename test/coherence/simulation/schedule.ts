import type { Weather } from './network.js'

/** What is done to the processes, each after some milliseconds. */
export type Deed = { afterMs: number; process: number } & (
  | { what: 'write' | 'repeat' | 'write without waiting'; keys: number[]; holdMs: number }
  | { what: 'stall' | 'suspend' | 'cut off'; ms: number }
  | { what: 'jump'; ms: number }
  | { what: 'crash' | 'sweep' | 'replicate' | 'fail over' })

/** All that a run depends on. */
export interface Schedule {
  seed: number
  processes: { leaseMs: number; rate: number }[]
  keys: number
  maxEntries: number
  weather: Weather
  /** Milliseconds between two requests to one process, on average. */
  requestEveryMs: number
  sweepEveryMs: number
  deeds: Deed[]
}

/** What has happened in a run: evidence that it exercises what it should. */
export interface Counts {
  events: number
  requests: number
  hits: number
  joins: number
  loads: number
  unanswered: number
  writes: number
  unknownWrites: number
  leasesLost: number
  /** Moments at which a process had heard of changes and not acknowledged them yet. */
  unacknowledged: number
  lateCommits: number
  acknowledged: number
  fenced: number
  swept: number
  pruned: number
  behind: number
  givenUpRenewals: number
  rechecks: number
}
