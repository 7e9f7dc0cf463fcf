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

/**
 * Starts a node. Resolves when it holds its first lease, or could not get one. A node without a lease asks
 * the database each time.
 */
export async function startNode({
  database,
  logger,
  clock,
  directUrl,
  setRole,
  leaseMs,
  maxEntries,
  address,
  onWait = () => undefined,
}: Options): Promise<Node> {
  const intervalMs = Math.min(leaseMs > 0 ? leaseMs / 4 : longestIntervalMs, longestIntervalMs)
  const stopping = new AbortController()
  let wake = () => {
    hinted = true
  }
  let hinted = false
  const renewNow = () => wake()

  let longestLeaseMs = leaseMs
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
    longestLeaseMs: () => longestLeaseMs,
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

  /** Waits until the interval has passed or a change was announced. */
  const pause = async (ms: number) => {
    if (!hinted) {
      const woken = new AbortController()
      wake = () => {
        woken.abort()
      }
      await wait(ms, undefined, { signal: AbortSignal.any([woken.signal, stopping.signal]) }).catch(
        () => undefined,
      )
    }
    wake = () => {
      hinted = true
    }
    hinted = false
  }

  let failing = false
  const renewOnce = async () => {
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

  const keep = async () => {
    while (!stopping.signal.aborted) {
      const pauseMs = await renewOnce()
      if (pauseMs > 0) await pause(pauseMs)
    }
  }

  // registration, then the renewal that grants the first lease
  await renewOnce()
  await renewOnce()
  const keeping = keep()
  const sweep = sweepNodes({
    database,
    clock,
    onLease: (ms) => {
      longestLeaseMs = Math.max(longestLeaseMs, ms)
    },
  })
  let isAsynchronous = false
  /** Logs it once, and again after it was mended. */
  const lookAtStandbys = async () => {
    const found = (await countAsynchronousStandbys(database.unconfirmed)) > 0
    if (found && !isAsynchronous) logger.warn(`${asynchronousStandby.says}. ${asynchronousStandby.todo}`)
    isAsynchronous = found
  }
  const sweepOnce = () =>
    sweep()
      .then(lookAtStandbys)
      .catch((error: unknown) => logger.debug('changes could not be pruned', { error }))
  await sweepOnce() // the lengths of the other nodes' leases must be known from the start
  const sweeping = setInterval(() => void sweepOnce(), sweepEveryMs)
  sweeping.unref()

  const commitAndAwaitNodes = createCommitAndAwaitNodes({
    database,
    clock,
    renewNow,
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
      clearInterval(sweeping)
      streams.stop()
      stopping.abort()
      await keeping
      await connection.close(lease.nodeId())
    },
  }
}
