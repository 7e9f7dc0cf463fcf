import type { Coherent } from '../../../src/coherence/coherent.js'
import type { Lease } from '../../../src/coherence/lease.js'
import type { Memory } from '../../../src/coherence/memory.js'
import { connectSimulated, type Connections } from './database.js'
import type { Host, Network } from './network.js'
import type { SimulatedPostgres } from './postgres.js'
import type { Production } from './production.js'
import type { Happening, Timeline } from './timeline.js'

interface Parts {
  code: Production
  timeline: Timeline
  network: Network
  postgres: SimulatedPostgres
  leaseMs: number
  /** How fast its clocks run; 1 is right. */
  rate: number
  maxEntries: number
  timeoutMs: number
  newId: () => string
  onVersion: (write: string, key: string, version: number) => void
  onHint: () => void
}

const longestIntervalMs = 500
const retryAfterMs = 100

/** A gateway process: the production code with a clock, timers and a network that tests command. It keeps its lease as `startNode` does. */
export class SimulatedProcess implements Host {
  isAlive = true
  readonly memory: Memory
  readonly lease: Lease
  readonly coherent: Coherent
  readonly sweep: () => Promise<void>
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
    const { code, timeline, network, postgres, leaseMs, maxEntries, timeoutMs, newId, onVersion, onHint } = parts
    const clock = { monotonic: () => this.monotonic(), wall: () => timeline.now * parts.rate + this.wallOffset }
    this.connections = connectSimulated({ host: this, network, postgres, timeline, timeoutMs, onVersion, onHint })
    let longestLeaseMs = leaseMs
    this.lease = code.createLease({
      statements: {
        register: (id, ms) => network.execute(this, 'register', postgres.register(id, ms), this.intervalMs * 0.9),
        renew: (id, applied, seq) => network.execute(this, 'renew', postgres.renew(id, applied, seq), this.intervalMs * 0.9),
      },
      clock, leaseMs, longestLeaseMs: () => longestLeaseMs, newId,
      drop: (keys) => {
        this.memory.drop(keys)
        return undefined
      },
      flush: () => this.memory.flush(),
    })
    this.memory = code.createMemory({ holdsLease: this.lease.holds, maxEntries })
    const { database } = this.connections
    this.coherent = code.createCoherent({
      database, clock, renewNow: () => { this.renewNow() }, foreignLeasesEndAt: this.lease.foreignLeasesEndAt,
      wait: (ms) => this.wait(ms),
    })
    this.sweep = code.sweepNodes({ database, clock, onLease: (ms) => { longestLeaseMs = Math.max(longestLeaseMs, ms) } })
    void this.keepLease()
  }

  get leaseMs(): number {
    return this.parts.leaseMs
  }

  get isSuspended(): boolean {
    return this.parts.timeline.now < this.suspendedUntil
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
    return new Promise((resolve) => { this.deliver(this.parts.timeline.now + ms, () => { resolve(); return undefined }) })
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

  private get intervalMs(): number {
    return Math.min(this.leaseMs > 0 ? this.leaseMs / 4 : longestIntervalMs, longestIntervalMs)
  }

  private monotonic(): number {
    const { timeline, rate } = this.parts
    const asleep = this.sleptMs + Math.min(timeline.now, this.suspendedUntil) - this.suspendedFrom
    return 1000 + rate * (timeline.now - asleep)
  }

  private async keepLease(): Promise<void> {
    for (;;) { // one that has died gets no answer any more
      const again = await this.lease.step().catch(() => undefined)
      if (again) continue
      if (!this.isHinted) {
        const hint = new Promise<void>((resolve) => { this.wake = resolve })
        await Promise.race([hint, this.wait(again === false ? this.intervalMs : Math.min(retryAfterMs, this.intervalMs))])
      }
      this.isHinted = false
      this.wake = undefined
    }
  }
}
