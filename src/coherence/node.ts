import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '../database/connect.js'
import { asynchronousStandby, countAsynchronousStandbys } from '../database/standbys.js'
import type { Logger } from '../observability/logger.js'
import {
  createCommitAndAwaitNodes,
  createPerformDryRun,
  type Coherence,
  type CommitAndAwaitNodes,
  type PerformDryRun,
} from './commit-and-await-nodes.js'
import { createLease, type Clock, type Lease } from './lease.js'
import { leaseConnection } from './lease-connection.js'
import { createMemory, type Memory } from './memory.js'
import { createStreams, type Streams } from './streams.js'
import { sweepNodes } from './sweep-nodes.js'

/** This process as one of the nodes that share the database: its lease, its memory, and its open streams. */
export interface Node {
  lease: Lease
  memory: Memory
  streams: Streams
  /** The one way to write what decisions depend on. */
  commitAndAwaitNodes: CommitAndAwaitNodes
  /** Runs such a write and rolls it back. */
  performDryRun: PerformDryRun
  stop: () => Promise<void>
}

interface Options {
  database: Database
  logger: Logger
  clock: Clock
  /** The URL that does not lead through a transaction-mode pooler. */
  directUrl: string
  setRole: boolean
  /** 0 means that this node never answers from memory. */
  leaseMs: number
  maxEntries: number
  /** The address on which this node listens, as soon as it is known. */
  address: () => string
  /** Called for each change that has waited for the nodes. */
  onWait?: (coherence: Coherence) => void
}

/** The process's clocks. */
export const systemClock: Clock = { monotonic: () => performance.now(), wall: () => Date.now() }

const longestIntervalMs = 500
const sweepEveryMs = 5000
const retryAfterMs = 100

/** A pause that a hint ends. A hint that comes between two pauses ends the next one at once. */
class Pause {
  private hinted = false
  private wake = () => {
    this.hinted = true
  }

  constructor(private readonly stopping: AbortSignal) {}

  /** Ends the pause, or the next one. */
  readonly end = () => this.wake()

  /** Waits until the time has passed, a change was announced, or the node stops. */
  async wait(ms: number): Promise<void> {
    if (!this.hinted) {
      const woken = new AbortController()
      this.wake = () => {
        woken.abort()
      }
      const signal = AbortSignal.any([woken.signal, this.stopping])
      await wait(ms, undefined, { signal }).catch(() => undefined)
    }
    this.wake = () => {
      this.hinted = true
    }
    this.hinted = false
  }
}

/** Returns the function that renews the lease once, and returns how long to wait for the next time. */
function renewals(lease: Lease, logger: Logger, intervalMs: number): () => Promise<number> {
  let failing = false
  return async () => {
    try {
      const again = await lease.step()
      if (failing) logger.info('the lease is renewed again')
      failing = false
      return again ? 0 : intervalMs
    } catch (error) {
      if (!failing)
        logger.warn('the lease could not be renewed; when it ends, each request asks the database', { error })
      failing = true
      return Math.min(retryAfterMs, intervalMs)
    }
  }
}

/** Returns the function that warns of asynchronous standbys, once until it is mended. */
function standbyWarnings({ unconfirmed }: Database, logger: Logger): () => Promise<void> {
  let isAsynchronous = false
  return async () => {
    const found = (await countAsynchronousStandbys(unconfirmed)) > 0
    if (found && !isAsynchronous) logger.warn(`${asynchronousStandby.says}. ${asynchronousStandby.todo}`)
    isAsynchronous = found
  }
}

/** Cleans up now and then every few seconds. Resolves after the first time to the function that stops it. */
async function keepSweeping(
  { database, clock, logger }: Pick<Options, 'database' | 'clock' | 'logger'>,
  onLease: (leaseMs: number) => void,
): Promise<() => void> {
  const sweep = sweepNodes({ database, clock, onLease })
  const warnOfStandbys = standbyWarnings(database, logger)
  const sweepOnce = () =>
    sweep()
      .then(warnOfStandbys)
      .catch((error: unknown) => logger.debug('changes could not be pruned', { error }))
  await sweepOnce() // the lengths of the other nodes' leases must be known from the start
  const sweeping = setInterval(() => void sweepOnce(), sweepEveryMs)
  sweeping.unref()
  return () => clearInterval(sweeping)
}

/** Creates the lease with what depends on it: the memory, the streams, and its own connection. */
function holdLease(
  { database, clock, directUrl, setRole, leaseMs, maxEntries, address }: Options,
  intervalMs: number,
  longestLeaseMs: () => number,
  renewNow: () => void,
) {
  const connection = leaseConnection({
    url: directUrl,
    setRole,
    deadlineMs: intervalMs * 0.9,
    node: () => ({ address: address(), processId: process.pid }),
    onHint: renewNow,
  })
  const lease: Lease = createLease({
    statements: connection,
    clock,
    leaseMs,
    longestLeaseMs,
    newId: randomUUID,
    drop: (keys) => {
      memory.drop(keys)
      return streams.drop(keys)
    },
    flush: () => {
      memory.flush()
      streams.flush()
    },
    see: database.history.see,
  })
  const memory: Memory = createMemory({ holdsLease: lease.holds, maxEntries })
  const streams = createStreams({ holdsLease: lease.holds })
  database.history.onChange((identity) => {
    connection.closeOthers(identity)
    if (lease.giveUpOthers(identity)) renewNow()
  })
  database.relyOn(lease)
  return { connection, lease, memory, streams }
}

/**
 * Starts a node. Resolves when it holds its first lease, or could not get one. A node without a lease asks
 * the database each time.
 */
export async function startNode(options: Options): Promise<Node> {
  const { database, logger, clock, leaseMs, onWait = () => undefined } = options
  const intervalMs = Math.min(leaseMs > 0 ? leaseMs / 4 : longestIntervalMs, longestIntervalMs)
  const stopping = new AbortController()
  const pause = new Pause(stopping.signal)
  let longestLeaseMs = leaseMs
  const { connection, lease, memory, streams } = holdLease(
    options,
    intervalMs,
    () => longestLeaseMs,
    pause.end,
  )
  const renewOnce = renewals(lease, logger, intervalMs)
  const keepRenewing = async () => {
    while (!stopping.signal.aborted) {
      const pauseMs = await renewOnce()
      if (pauseMs > 0) await pause.wait(pauseMs)
    }
  }
  await renewOnce() // registers
  await renewOnce() // grants the first lease
  const renewing = keepRenewing()
  const stopSweeping = await keepSweeping(options, (ms) => {
    longestLeaseMs = Math.max(longestLeaseMs, ms)
  })
  const commitAndAwaitNodes = createCommitAndAwaitNodes({
    database,
    clock,
    renewNow: pause.end,
    foreignLeasesEndAt: lease.foreignLeasesEndAt,
  })
  return {
    lease,
    memory,
    streams,
    commitAndAwaitNodes: async (work) => {
      const done = await commitAndAwaitNodes(work)
      onWait(done.coherence)
      return done
    },
    performDryRun: createPerformDryRun(database),
    stop: async () => {
      stopSweeping()
      streams.stop()
      stopping.abort()
      await renewing
      await connection.close(lease.nodeId())
    },
  }
}
