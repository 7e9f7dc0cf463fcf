import { timelineOf } from '../database/history.js'

/** What a renewal brought: one statement, one snapshot. */
export interface Renewal {
  /** False: the row is gone, a writer has fenced this node. */
  alive: boolean
  /** The snapshot, as text. */
  seen: string
  /** Keys of all changes that are in `seen` and not in what this node had applied. */
  keys: string[]
  /** True: changes that this node has not applied have been pruned. */
  flush: boolean
  /** Which database this is, since which crash: another one knows nothing of what this node remembers. */
  identity: string
}

/**
 * What the lease asks of Postgres. Each is one autocommit statement that writes a row; each rejects when no
 * answer came in time.
 */
export interface LeaseStatements {
  /** Makes a new row for a node with an empty memory. Answers the snapshot and the database's identity. */
  register: (nodeId: string, leaseMs: number) => Promise<{ seen: string; identity: string }>
  /**
   * Acknowledges `applied` in the row, if it is there and no later renewal has been executed, and says what
   * is new.
   */
  renew: (nodeId: string, applied: string, seq: number) => Promise<Renewal>
}

/** Milliseconds. `monotonic` never jumps; `wall` runs on while a virtual machine is suspended. */
export interface Clock {
  monotonic: () => number
  wall: () => number
}

interface Dependencies {
  statements: LeaseStatements
  clock: Clock
  leaseMs: number
  /** The longest lease that is known of any node. */
  longestLeaseMs: () => number
  /** A new id for each registration: a row is never taken over. */
  newId: () => string
  /** Forgets what depends on the keys, at once; what it answers is waited for before that is acknowledged. */
  drop: (keys: readonly string[]) => Promise<void> | undefined
  flush: () => void
  /** Told of the identity that each statement was answered with; throws where that is not to be believed. */
  see: (identity: string) => void
}

/** The right of a node to answer from memory, which ends by itself. See docs/coherence.md. */
export interface Lease {
  /** Whether the lease is live now. To be asked in the same synchronous run as the memory is read. */
  holds: () => boolean
  /** Registers, or renews once. Answers whether to renew again at once. Rejects as the statements do. */
  step: () => Promise<boolean>
  /** The history that the lease is, or was, granted by; undefined before the first registration. */
  identity: () => string | undefined
  /**
   * Another history has been seen: gives up a lease of any other, and forgets everything. Returns whether
   * there is to be registered anew.
   */
  giveUpOthers: (identity: string) => boolean
  /** The id of this node's row; undefined before it is registered and after it has been fenced. */
  nodeId: () => string | undefined
  /** Milliseconds that are left, 0 when the lease has ended. */
  remainingMs: () => number
  /** Changes that this node has heard of and not acknowledged yet. */
  unacked: () => number
  /**
   * Until when nodes may hold leases that the database of that identity does not know of, on the monotonic
   * clock: after a failover their rows may have been lost, or acknowledge what was. Asked after a commit;
   * long past where there was no failover.
   */
  foreignLeasesEndAt: (identity: string) => number
}

/** Clocks that should tick alike may differ by this share. */
export const clockDrift = 0.01
/** Until when a lease of that length may live that has been granted by now, by a clock that differs. */
export const leaseEnd = (clock: Clock, leaseMs: number) => clock.monotonic() + leaseMs * (1 + clockDrift)
/** How far the wall clock may outrun the monotonic one before a suspended machine is suspected. */
const suspectMs = 100

/** A moment that a lease can be counted from. */
interface Moment {
  monotonic: number
  wall: number
}

const never: Moment = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY }

/** Makes a node's lease. It is not held until a renewal has succeeded: a registration grants none. */
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
  /**
   * The snapshot whose changes have all been dropped here, and when the statement that brought it was sent.
   */
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
    // Its row is gone, or it was given up meanwhile.
    if (!alive || found !== identity || nodeId !== id) {
      forgetEverything()
      return true
    }
    if (isBehind) flush()
    else await drop(keys)
    // The row acknowledges what was applied before. With nothing new that covers this snapshot too; else only
    // the one before.
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
