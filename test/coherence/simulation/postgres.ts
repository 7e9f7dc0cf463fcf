import type { Renewal } from '../../../src/coherence/lease.js'
import type { NodeRow } from '../../../src/coherence/node-queries.js'

/**
 * Rules of the SQL that a mutant breaks; `lease-queries.ts` and `node-queries.ts` hold the clauses that keep
 * them.
 */
export interface BrokenSql {
  changesBeforeSnapshot?: boolean
  /** Changes of transactions that were running when the applied snapshot was taken are not looked for. */
  highWaterMark?: boolean
  /** Changes are pruned that not every node has applied, and nobody is told. */
  prunesWithoutFlush?: boolean
  noOrderAmongRenewals?: boolean
  takesOverRows?: boolean
}

interface NodeState {
  leaseMs: number
  seq: number
  acked: string
}

interface Change {
  xid: number
  key: string
}

/** A transaction: it has an id from its first write on. */
export interface Transaction {
  xid: number | undefined
  timeline: number
  changes: string[]
  /** Called in the moment of the commit. */
  onCommit: (() => void)[]
}

/**
 * A statement in two steps: what it reads in its snapshot, and what it does when it has its locks, its commit
 * included.
 */
export interface Statement<Result> {
  read: () => () => Result
}

interface Replica {
  nextXid: number
  nodes: [string, NodeState][]
  changes: Change[]
  pruned: number
}

function read(text: string) {
  const [xmin, xmax, running] = text.split(':')
  return {
    xmin: Number(xmin),
    xmax: Number(xmax),
    running: running === '' ? [] : running!.split(',').map(Number),
  }
}

const sees = (text: string, xid: number) => xid < read(text).xmax && !read(text).running.includes(xid)

/**
 * As much of Postgres as the protocol uses: ids, snapshots as Postgres takes them, and the tables of the
 * schema `coherence`. Not a line of it is the gateway's.
 */
export class SimulatedPostgres {
  /** Rises when a standby takes over: what was under way then is lost. */
  timeline = 1
  /**
   * Its synchronous standby has been promoted: it lives on and is read, but no commit of it ends any more.
   */
  isSucceeded = false
  readonly nodes = new Map<string, NodeState>()
  /** How many committed transactions have changed each key. */
  readonly versions = new Map<string, number>()
  changes: Change[] = []
  pruned = 0
  private replica: Replica = { nextXid: 10, nodes: [], changes: [], pruned: 0 }
  private nextXid = 10
  private latestCompleted = 9
  private readonly running = new Set<number>()

  constructor(
    private readonly broken: BrokenSql,
    readonly counts = {
      lateCommits: 0,
      acknowledged: 0,
      fenced: 0,
      swept: 0,
      pruned: 0,
      behind: 0,
      givenUpRenewals: 0,
      rechecks: 0,
    },
  ) {}

  /** Xids at or above one past the last that has ended are not listed: they are invisible anyway. */
  snapshot(): string {
    const xmax = this.latestCompleted + 1
    const running = [...this.running].filter((xid) => xid < xmax).sort((a, b) => a - b)
    return `${running[0] ?? xmax}:${xmax}:${running.join()}`
  }

  assignXid(tx: Transaction): number {
    if (tx.xid === undefined) {
      tx.xid = this.nextXid
      this.nextXid += 1
      this.running.add(tx.xid)
    }
    return tx.xid
  }

  begin(): Transaction {
    return { xid: undefined, timeline: this.timeline, changes: [], onCommit: [] }
  }

  isUnderWay({ timeline }: Transaction): boolean {
    return timeline === this.timeline
  }

  commit(tx: Transaction): void {
    if (!this.isUnderWay(tx)) return
    const { xid } = tx
    if (xid !== undefined) {
      for (const key of tx.changes) this.changes.push({ xid, key })
      if (xid < this.latestCompleted && tx.changes.length > 0) this.counts.lateCommits += 1
    }
    for (const done of tx.onCommit) done()
    this.end(tx)
  }

  end(tx: Transaction): void {
    const { xid } = tx
    if (xid === undefined || !this.isUnderWay(tx)) return
    this.running.delete(xid)
    this.latestCompleted = Math.max(this.latestCompleted, xid)
  }

  /** The standby has all that was committed up to now. */
  replicate(): void {
    this.replica = {
      nextXid: this.nextXid,
      nodes: [...this.nodes],
      changes: [...this.changes],
      pruned: this.pruned,
    }
  }

  /**
   * The standby takes over. What it had not got is lost, ids included; values of the new history are above
   * those of the old.
   */
  failOver(): void {
    this.timeline += 1
    this.nextXid = this.replica.nextXid
    this.latestCompleted = this.nextXid - 1
    this.running.clear()
    this.nodes.clear()
    for (const [id, node] of this.replica.nodes) this.nodes.set(id, node)
    this.changes = [...this.replica.changes]
    this.pruned = this.replica.pruned
    for (const [key, version] of this.versions) this.versions.set(key, version + 1000)
  }

  /** The synchronous standby, which has all that was committed, becomes a primary while this one lives on. */
  promoteStandby(): SimulatedPostgres {
    const promoted = new SimulatedPostgres(this.broken, this.counts)
    promoted.timeline = this.timeline + 1
    promoted.nextXid = this.nextXid
    promoted.latestCompleted = this.nextXid - 1
    for (const [id, node] of this.nodes) promoted.nodes.set(id, node)
    for (const [key, version] of this.versions) promoted.versions.set(key, version)
    promoted.changes = [...this.changes]
    promoted.pruned = this.pruned
    this.isSucceeded = true
    return promoted
  }

  register(id: string, leaseMs: number): Statement<{ seen: string; identity: string }> {
    return {
      read: () => {
        const seen = this.snapshot()
        return () => {
          if (this.broken.takesOverRows) this.nodes.clear()
          this.nodes.set(id, { leaseMs, seq: 0, acked: seen })
          return { seen, identity: this.identity }
        }
      },
    }
  }

  renew(id: string, applied: string, seq: number): Statement<Renewal> {
    const found = () => {
      const { xmin, xmax, running } = read(applied)
      const keys = this.changes
        .filter(({ xid }) => xid >= xmax || (!this.broken.highWaterMark && running.includes(xid)))
        .map(({ key }) => key)
      return { keys: [...new Set(keys)], flush: !this.broken.prunesWithoutFlush && this.pruned > xmin }
    }
    const matches = () => {
      const row = this.nodes.get(id)
      return row !== undefined && (this.broken.noOrderAmongRenewals === true || row.seq < seq)
    }
    const finish = (seen: string, { keys, flush }: ReturnType<typeof found>, matched: boolean) => {
      const alive = matched && matches() // looked at again when the lock is had
      if (matched && !alive) this.counts.rechecks += 1
      if (!alive && this.nodes.has(id)) this.counts.givenUpRenewals += 1
      if (alive) {
        this.nodes.set(id, { ...this.nodes.get(id)!, seq, acked: applied })
        this.counts.acknowledged += 1
        if (flush) this.counts.behind += 1
      }
      return { alive, seen, keys, flush, identity: this.identity }
    }
    return {
      read: () => {
        const [changes, matched, seen] = [found(), matches(), this.snapshot()]
        return () => finish(this.broken.changesBeforeSnapshot ? this.snapshot() : seen, changes, matched)
      },
    }
  }

  fence(id: string, xid: number): Statement<number> {
    const isBehind = () => this.nodes.has(id) && !sees(this.nodes.get(id)!.acked, xid)
    return this.deletion(id, isBehind, () => {
      this.counts.fenced += 1
    })
  }

  deleteSilent(id: string, seq: number): Statement<number> {
    return this.deletion(
      id,
      () => this.nodes.get(id)?.seq === seq,
      () => {
        this.counts.swept += 1
      },
    )
  }

  prune(): Statement<number> {
    return {
      read: () => {
        const lowest = this.broken.prunesWithoutFlush
          ? []
          : [...this.nodes.values()].map(({ acked }) => read(acked).xmin)
        const oldest = lowest.length > 0 ? Math.min(...lowest) : read(this.snapshot()).xmin
        const gone = new Set(this.changes.filter(({ xid }) => xid < oldest))
        return () => {
          this.pruned = Math.max(this.pruned, oldest)
          this.changes = this.changes.filter((change) => !gone.has(change))
          this.counts.pruned += gone.size
          return gone.size
        }
      },
    }
  }

  listNodes(): NodeRow[] {
    return [...this.nodes].map(([id, { leaseMs, acked }]) => ({ id, leaseMs, acked }))
  }

  listSeqs() {
    return [...this.nodes].map(([id, { leaseMs, seq }]) => ({ id, leaseMs, seq: `${seq}` }))
  }

  get identity(): string {
    return `system/${this.timeline}/boot`
  }

  private deletion(id: string, qualifies: () => boolean, count: () => void): Statement<number> {
    return {
      read: () => {
        const qualified = qualifies()
        return () => {
          if (!qualified || !qualifies()) return 0
          this.nodes.delete(id)
          count()
          return 1
        }
      },
    }
  }
}
