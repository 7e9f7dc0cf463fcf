import type { CommitAndAwaitNodes } from '../../../src/coherence/commit-and-await-nodes.js'
import type { History } from '../../../src/database/history.js'
import type { Lease } from '../../../src/coherence/lease.js'
import type { Database } from '../../../src/database/connect.js'
import type { Memory } from '../../../src/coherence/memory.js'
import { connectSimulated, loadVersions, type Connections } from './database.js'
import { Socket, type Address } from './link.js'
import type { Host, Network } from './network.js'
import type { Production } from './production.js'
import type { Happening, Timeline } from './timeline.js'

interface Parts {
  code: Production
  timeline: Timeline
  network: Network
  /** Where its new connections lead. */
  address: Address
  leaseMs: number
  /** How fast its clocks run; 1 is right. */
  rate: number
  maxEntries: number
  timeoutMs: number
  newId: () => string
  onVersion: (write: string, key: string, version: number) => void
  onHint: () => void
  /** Told when it has seen another history and keeps a connection to the one before. */
  onKept: () => void
}

const longestIntervalMs = 500
const retryAfterMs = 100

/**
 * A gateway process: the production code with a clock, timers and a network that tests command. It keeps its
 * lease as `startNode` does.
 */
export class SimulatedProcess implements Host {
  isAlive = true
  readonly memory: Memory
  readonly lease: Lease
  readonly commitAndAwaitNodes: CommitAndAwaitNodes
  private readonly database: Database
  readonly sweep: () => Promise<void>
  /** Its connections: of the lease, of commits, and of the pool. */
  readonly sockets: readonly Socket[]
  /** Between these moments it does not run. */
  private stalledUntil = 0
  private outOfReachUntil = 0
  private suspendedFrom = 0
  private suspendedUntil = 0
  private sleptMs = 0
  private wallOffset = 0
  private isHinted = false
  /** Ends the pause between two renewals, if there is one. */
  private wake: (() => void) | undefined
  private readonly connections: Connections

  constructor(private readonly parts: Parts) {
    const { code, timeline, network, address, leaseMs, maxEntries, timeoutMs, newId, onVersion, onHint } =
      parts
    const clock = {
      monotonic: () => this.monotonic(),
      wall: () => timeline.now * parts.rate + this.wallOffset,
    }
    const history = this.watch(code.createHistory(clock))
    const [own, commits, ...pool] = (this.sockets = [
      new Socket(address),
      new Socket(address),
      new Socket(address),
      new Socket(address),
    ] as const)
    history.onChange((identity) => {
      for (const socket of this.sockets) socket.closeOthers(identity)
    })
    this.connections = connectSimulated({
      host: this,
      network,
      pool,
      commits,
      timeline,
      timeoutMs,
      onVersion,
      onHint,
      history,
      confirmReads: code.confirmReads,
    })
    this.database = this.connections.database
    let longestLeaseMs = leaseMs
    this.lease = code.createLease({
      statements: {
        register: (id, ms) => {
          const link = own.open()
          return network.execute(this, 'register', link, link.server.register(id, ms), this.intervalMs * 0.9)
        },
        renew: (id, applied, seq) => {
          const link = own.open()
          return network.execute(
            this,
            'renew',
            link,
            link.server.renew(id, applied, seq),
            this.intervalMs * 0.9,
          )
        },
      },
      clock,
      leaseMs,
      longestLeaseMs: () => longestLeaseMs,
      newId,
      drop: (keys) => {
        this.memory.drop(keys)
        return undefined
      },
      flush: () => this.memory.flush(),
      see: history.see,
    })
    history.onChange((identity) => {
      if (this.lease.giveUpOthers(identity)) this.renewNow()
    })
    this.database.relyOn(this.lease)
    this.memory = code.createMemory({ holdsLease: this.lease.holds, maxEntries })
    const { database } = this
    this.commitAndAwaitNodes = code.createCommitAndAwaitNodes({
      database,
      clock,
      renewNow: () => {
        this.renewNow()
      },
      foreignLeasesEndAt: this.lease.foreignLeasesEndAt,
      wait: (ms) => this.wait(ms),
    })
    this.sweep = code.sweepNodes({
      database,
      clock,
      onLease: (ms) => {
        longestLeaseMs = Math.max(longestLeaseMs, ms)
      },
    })
    void this.keepLease()
  }

  get leaseMs(): number {
    return this.parts.leaseMs
  }

  get isSuspended(): boolean {
    return this.parts.timeline.now < this.suspendedUntil
  }

  /**
   * Versions of keys as the database has them: in a statement by itself, or in a transaction that writes
   * nothing.
   */
  async load(keys: readonly string[], inTransaction: boolean): Promise<number[]> {
    const ask = (sql: Pick<Database, 'rows'>) => sql.rows<{ version: number }>(loadVersions, keys)
    const rows = inTransaction ? await this.database.transaction(ask) : await ask(this.database)
    return rows.map(({ version }) => version)
  }

  outOfReachMs(): number {
    return Math.max(0, this.outOfReachUntil - this.parts.timeline.now)
  }

  deliver(at: number, happen: Happening): void {
    const { timeline } = this.parts
    timeline.at(at, () => {
      if (!this.isAlive) return false
      if (timeline.now >= this.stalledUntil) return happen()
      this.deliver(this.stalledUntil, happen)
      return false
    })
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.deliver(this.parts.timeline.now + ms, () => {
        resolve()
        return undefined
      })
    })
  }

  renewNow(): void {
    this.isHinted = true
    this.wake?.()
  }

  /** Its event loop is blocked, or it is stopped: clocks run on. */
  stall(ms: number): void {
    this.stalledUntil = Math.max(this.stalledUntil, this.parts.timeline.now + ms)
  }

  /** Its machine is suspended: the monotonic clock halts. */
  suspend(ms: number): void {
    const { now } = this.parts.timeline
    if (this.isSuspended) return
    this.sleptMs += this.suspendedUntil - this.suspendedFrom
    this.suspendedFrom = now
    this.suspendedUntil = now + ms
    this.stall(ms)
  }

  jumpOnTheWall(ms: number): void {
    this.wallOffset += ms
  }

  cutOff(ms: number): void {
    this.outOfReachUntil = Math.max(this.outOfReachUntil, this.parts.timeline.now + ms)
  }

  die(): void {
    this.isAlive = false
    this.connections.breakAll()
  }

  private watch(history: History): History {
    let known: string | undefined
    return {
      ...history,
      see: (identity) => {
        history.see(identity)
        if (identity !== known && this.sockets.some((socket) => socket.leadsElsewhere(identity)))
          this.parts.onKept()
        known = identity
      },
    }
  }

  private get intervalMs(): number {
    return Math.min(this.leaseMs > 0 ? this.leaseMs / 4 : longestIntervalMs, longestIntervalMs)
  }

  private monotonic(): number {
    const { timeline, rate } = this.parts
    const asleep = this.sleptMs + Math.min(timeline.now, this.suspendedUntil) - this.suspendedFrom
    return 1000 + rate * (timeline.now - asleep)
  }

  private async keepLease(): Promise<void> {
    for (;;) {
      // one that has died gets no answer any more
      const again = await this.lease.step().catch(() => undefined)
      if (again) continue
      if (!this.isHinted) {
        const hint = new Promise<void>((resolve) => {
          this.wake = resolve
        })
        await Promise.race([
          hint,
          this.wait(again === false ? this.intervalMs : Math.min(retryAfterMs, this.intervalMs)),
        ])
      }
      this.isHinted = false
      this.wake = undefined
    }
  }
}
