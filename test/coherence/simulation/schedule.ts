import type { Weather } from './network.js'

/** What is done to the processes, each after some milliseconds. */
export type Deed = { afterMs: number; process: number } & (
  | { what: 'write' | 'repeat' | 'write without waiting'; keys: number[]; holdMs: number }
  | { what: 'stall' | 'suspend' | 'cut off'; ms: number }
  | { what: 'jump'; ms: number }
  | { what: 'crash' | 'sweep' | 'replicate' | 'fail over' }
  /**
   * The synchronous standby is promoted. Each connection of each process stays with the old primary, or is
   * broken, by a bit of `stay`; new ones lead to it for a while.
   */
  | { what: 'split'; stay: number; ms: number }
)

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
  /** Reads in a transaction that wrote nothing. */
  transactions: number
  /** Requests that were answered while there were two primaries. */
  split: number
}
