import { timelineOf } from '../database/history.js'

/** The result of a renewal: one statement, one snapshot. */
export interface Renewal {
  /** False when the row is gone: a writer has fenced this node. */
  alive: boolean
  /** The snapshot, as text. */
  seen: string
  /** Keys of all changes that are in `seen` and not in what this node had applied. */
  keys: string[]
  /** True when changes were pruned that this node has not applied. */
  flush: boolean
  /** Which database this is, and since which crash. Another database knows nothing of this node's memory. */
  identity: string
}

/**
 * What the lease asks of Postgres. Each call is one autocommit statement that writes a row. It rejects when
 * no answer came in time.
 */
export interface LeaseStatements {
  /** Inserts a new row for a node with an empty memory. Returns the snapshot and the database's identity. */
  register: (nodeId: string, leaseMs: number) => Promise<{ seen: string; identity: string }>
  /**
   * Acknowledges `applied` in the row, if the row exists and no later renewal was executed. Returns what is
   * new.
   */
  renew: (nodeId: string, applied: string, seq: number) => Promise<Renewal>
}

/** Milliseconds. `monotonic` never jumps. `wall` goes on while a virtual machine is suspended. */
export interface Clock {
  monotonic: () => number
  wall: () => number
}

interface Dependencies {
  statements: LeaseStatements
  clock: Clock
  leaseMs: number
  /** Returns the longest lease of any known node, in milliseconds. */
  longestLeaseMs: () => number
  /** Returns a new id for each registration. No node takes over a row. */
  newId: () => string
  /** Drops what depends on the keys, at once. The drop is acknowledged when the returned promise resolves. */
  drop: (keys: readonly string[]) => Promise<void> | undefined
  flush: () => void
  /** Receives the identity that each statement returned. Throws for an identity that must not be believed. */
  see: (identity: string) => void
}

/** The right of a node to answer from memory. It ends by itself. See docs/coherence.md. */
export interface Lease {
  /**
   * Returns whether the lease is live now. Call it in the same synchronous run in which the memory is read.
   */
  holds: () => boolean
  /** Registers, or renews once. Returns whether to renew again at once. Rejects as the statements do. */
  step: () => Promise<boolean>
  /** Returns the history that granted the lease; undefined before the first registration. */
  identity: () => string | undefined
  /**
   * Gives up a lease of any other history, and drops everything, after another history has been seen. Returns
   * whether the node must register again.
   */
  giveUpOthers: (identity: string) => boolean
  /** Returns the id of this node's row; undefined before it is registered and after it was fenced. */
  nodeId: () => string | undefined
  /** Returns the milliseconds that are left; 0 when the lease has ended. */
  remainingMs: () => number
  /** Returns how many changes this node has heard of and not acknowledged yet. */
  unacked: () => number
  /**
   * Returns the time, on the monotonic clock, by which all leases granted by an earlier database have ended.
   * After a failover the rows of nodes may be lost, or acknowledge an earlier state. Call it after a commit.
   * Without a failover the time is long past.
   */
  foreignLeasesEndAt: (identity: string) => number
}

/** Share by which clocks that should run alike may differ. */
export const clockDrift = 0.01
/** Returns the latest end of a lease of that length that was granted by now, by a clock that may differ. */
export const leaseEnd = (clock: Clock, leaseMs: number) => clock.monotonic() + leaseMs * (1 + clockDrift)
/**
 * The wall clock may be ahead of the monotonic one by this much. Beyond it, the machine may have been
 * suspended.
 */
const suspectMs = 100

/** A moment from which a lease can be counted. */
interface Moment {
  monotonic: number
  wall: number
}

const never: Moment = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY }

/** Creates a node's lease. The first renewal grants it; a registration does not. */
export function createLease({
  statements,
  clock,
  leaseMs,
  longestLeaseMs,
  newId,
  drop,
  flush,
  see,
}: Dependencies): Lease {
  let nodeId: string | undefined
  let identity: string | undefined
  let foreignLeasesEndAt = Number.NEGATIVE_INFINITY
  let seq = 0
  /** The snapshot whose changes have all been dropped here, and when its statement was sent. */
  let applied = { snapshot: '', sentAt: never }
  let grantedFrom = never
  let unacked = 0

  const now = (): Moment => ({ monotonic: clock.monotonic(), wall: clock.wall() })

  const remainingMs = () => {
    const passed = clock.monotonic() - grantedFrom.monotonic
    const passedOnTheWall = clock.wall() - grantedFrom.wall
    if (passedOnTheWall - passed > suspectMs) return 0
    return Math.max(0, leaseMs * (1 - clockDrift) - passed)
  }

  const endOfAllLeases = () => leaseEnd(clock, longestLeaseMs())

  const forgetEverything = () => {
    nodeId = undefined
    grantedFrom = never
    flush()
  }

  const register = async () => {
    const id = newId()
    const sentAt = now()
    const reply = await statements.register(id, leaseMs)
    see(reply.identity)
    flush()
    if (identity !== undefined && timelineOf(identity) !== timelineOf(reply.identity)) {
      foreignLeasesEndAt = endOfAllLeases()
    }
    identity = reply.identity
    nodeId = id
    seq = 0
    applied = { snapshot: reply.seen, sentAt }
    return true
  }

  const renew = async (id: string) => {
    seq += 1
    const sentAt = now()
    const {
      alive,
      seen,
      keys,
      flush: isBehind,
      identity: found,
    } = await statements.renew(id, applied.snapshot, seq)
    see(found)
    // The row is gone, or the lease was given up during the renewal.
    if (!alive || found !== identity || nodeId !== id) {
      forgetEverything()
      return true
    }
    if (isBehind) flush()
    else await drop(keys)
    // The row acknowledges what was applied before. If nothing is new, that covers this snapshot; otherwise
    // it covers only the previous one.
    const changed = isBehind || keys.length > 0
    grantedFrom = changed ? applied.sentAt : sentAt
    applied = { snapshot: seen, sentAt }
    unacked = keys.length
    return changed
  }

  return {
    holds: () => remainingMs() > 0,
    step: () => (nodeId === undefined ? register() : renew(nodeId)),
    identity: () => identity,
    giveUpOthers: (current) => {
      if (identity === current) return false
      const wasRegistered = nodeId !== undefined
      forgetEverything()
      return wasRegistered
    },
    nodeId: () => nodeId,
    remainingMs,
    unacked: () => unacked,
    foreignLeasesEndAt: (found) =>
      identity !== undefined && timelineOf(found) === timelineOf(identity)
        ? foreignLeasesEndAt
        : endOfAllLeases(),
  }
}
