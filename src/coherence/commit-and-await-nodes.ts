import { setTimeout } from 'node:timers/promises'
import type { Database, Tx } from '../database/connect.js'
import { unbelieved } from '../database/history.js'
import { GatewayError } from '../errors.js'
import { clockDrift, type Clock } from './lease.js'
import { fenceNode, hintNodes, insertChange, listNodeRows, type NodeRow } from './node-queries.js'
import { isVisible, parseSnapshot } from './snapshot.js'

/** How a change of authority took effect. Responses carry it as `coherence`. */
export interface Coherence {
  /** The transaction's id. */
  epoch: string
  /** Nodes that have dropped the old state. */
  acked: number
  /** Nodes that did not acknowledge within their lease. They no longer answer from memory. */
  fenced: number
  waitedMs: number
}

declare const coherentBrand: unique symbol
/**
 * A transaction whose caller gets its result only after all nodes have applied its changes. Only
 * `commitAndAwaitNodes` makes one.
 */
export type CoherentTx = Tx & { readonly [coherentBrand]: true }

/**
 * Runs `work` in a transaction and commits it. Returns when no node acts on the old state any more. Rejects
 * with `directory_unavailable` when that cannot be known in time.
 */
export type CommitAndAwaitNodes = <Result>(
  work: (tx: CoherentTx) => Promise<Result>,
) => Promise<{ result: Result; coherence: Coherence }>

/**
 * Runs `work` as `commitAndAwaitNodes` would, and rolls it back. Returns what `work` returned. No node hears
 * of it.
 */
export type PerformDryRun = <Result>(work: (tx: CoherentTx) => Promise<Result>) => Promise<Result>

interface Dependencies {
  database: Database
  clock: Clock
  /** Makes this process's own node renew its lease at once. */
  renewNow: () => void
  /**
   * Returns the time, on the monotonic clock, by which all leases granted by an earlier database have ended.
   */
  foreignLeasesEndAt: (identity: string) => number
  /** Waits for some milliseconds. */
  wait?: (ms: number) => Promise<unknown>
}

/** A writer that waits for the nodes. */
interface Waiter {
  xid: bigint
  epoch: string
  /** The database history in which the change was committed. */
  identity: string
  /** When the commit was acknowledged. */
  since: number
  /** The earliest time of a result: until then, leases of a lost history may live. */
  notBefore: number
  /** The nodes that were listed at the first look. Only these count. */
  waitedFor: Set<string> | undefined
  fenced: number
  resolve: (coherence: Coherence) => void
  reject: (error: unknown) => void
}

/** How long the database may be away after the commit before the caller is asked to repeat. */
const patienceMs = 5000
const shortestPollMs = 1
const longestPollMs = 20

const unknown = (cause: unknown) =>
  new GatewayError(
    'directory_unavailable',
    'It is not known whether every node has heard of this change. Repeat the request: that is safe.',
    { cause },
  )

/** Creates the one way to write what decisions depend on. */
export function createCommitAndAwaitNodes({
  database,
  clock,
  renewNow,
  foreignLeasesEndAt,
  wait = setTimeout,
}: Dependencies): CommitAndAwaitNodes {
  const waiters = new Set<Waiter>()
  let polling: Promise<void> | undefined

  /** One look at the nodes serves all writers of this process. */
  const settle = async (waiter: Waiter, nodes: NodeRow[]) => {
    const present = new Map(nodes.map((node) => [node.id, node]))
    waiter.waitedFor ??= new Set(present.keys())
    let lagging = 0
    for (const id of waiter.waitedFor) {
      const node = present.get(id)
      // A missing node was fenced or has ended. A node with a lease of 0 asks the database each time.
      if (!node || node.leaseMs === 0 || isVisible(waiter.xid, parseSnapshot(node.acked))) continue
      const overdue = clock.monotonic() - waiter.since > node.leaseMs * (1 + clockDrift)
      if (overdue && (await fenceNode(database.unconfirmed, id, waiter.epoch))) waiter.fenced += 1
      else lagging += 1
    }
    if (lagging > 0 || clock.monotonic() < waiter.notBefore) return
    waiters.delete(waiter)
    const waitedMs = Math.round((clock.monotonic() - waiter.since) * 10) / 10
    waiter.resolve({
      epoch: waiter.epoch,
      acked: waiter.waitedFor.size - waiter.fenced,
      fenced: waiter.fenced,
      waitedMs,
    })
  }

  const giveUp = (waiter: Waiter, cause: unknown) => {
    waiters.delete(waiter)
    waiter.reject(unknown(cause))
  }

  const poll = async () => {
    let unanswered: number | undefined
    for (let pauseMs = shortestPollMs; waiters.size > 0; pauseMs = Math.min(pauseMs * 1.5, longestPollMs)) {
      // A writer that joins during this look waits for the next one: the list must be read after its commit.
      const present = [...waiters]
      try {
        const { identity, rows: nodes } = await listNodeRows(database.unconfirmed)
        database.history.see(identity)
        for (const waiter of present) {
          if (waiter.identity === identity) await settle(waiter, nodes)
          else
            giveUp(
              waiter,
              unbelieved(`it was committed in ${waiter.identity}, and the nodes are those of ${identity}`),
            )
        }
        unanswered = undefined
      } catch (error) {
        unanswered ??= clock.monotonic()
        if (clock.monotonic() - unanswered > patienceMs) {
          for (const waiter of waiters) giveUp(waiter, error)
        }
      }
      if (waiters.size > 0) await wait(pauseMs)
    }
    polling = undefined // in the same synchronous run as the last look at `waiters`
  }

  const awaitAcknowledgements = (epoch: string, identity: string) =>
    new Promise<Coherence>((resolve, reject) => {
      const since = clock.monotonic()
      waiters.add({
        xid: BigInt(epoch),
        epoch,
        identity,
        since,
        notBefore: foreignLeasesEndAt(identity),
        waitedFor: undefined,
        fenced: 0,
        resolve,
        reject,
      })
      renewNow()
      hintNodes(database.unconfirmed).catch(() => undefined) // without the hint it only takes longer
      polling ??= poll().catch(reject)
    })

  return async (work) => {
    const { result, xid, identity } = await database.change(async (tx) => {
      // The brand is made here and nowhere else.
      const done = await work(tx as CoherentTx)
      return { result: done, ...(await insertChange(tx)) }
    })
    return { result, coherence: await awaitAcknowledgements(xid, identity) }
  }
}

/** Creates the function that runs a change and rolls it back. */
export function createPerformDryRun(database: Database): PerformDryRun {
  return async <Result>(work: (tx: CoherentTx) => Promise<Result>) => {
    let rehearsed: { result: Result } | undefined
    const takenBack = new GatewayError('conflict', 'A rehearsal is taken back')
    try {
      await database.transaction(async (tx) => {
        rehearsed = { result: await work(tx as CoherentTx) }
        throw takenBack
      })
    } catch (error) {
      if (error !== takenBack) throw error
    }
    if (!rehearsed) throw new Error('a rehearsal was kept')
    return rehearsed.result
  }
}
