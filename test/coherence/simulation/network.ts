import type { Link } from './link.js'
import type { Statement } from './postgres.js'
import type { Happening, Timeline } from './timeline.js'

/** How messages fare. */
export interface Weather {
  /** Share of the messages and locks that take long, and how long at most. */
  slow: number
  longestMs: number
  /** Share of the messages that never arrive. */
  lost: number
  /** Of one kind of message only: what a search for one fault needs. */
  only?: Partial<Record<MessageKind, { slow: number; longestMs: number; lost?: number }>>
}

export type MessageKind = 'register' | 'renew' | 'load' | 'list' | 'write' | 'commit' | 'confirm' | 'other'

/** Whoever sends: it may be out of reach, and gets its answers when it runs. */
export interface Host {
  /** Milliseconds from now on during which nothing reaches or leaves it. */
  outOfReachMs: () => number
  deliver: (at: number, happen: Happening) => void
}

/** Between hosts and the database: messages are late, overtake each other, or are lost. */
export class Network {
  /** True: every message arrives soon. */
  isCalm = false

  constructor(
    private readonly timeline: Timeline,
    private readonly random: () => number,
    private readonly weather: Weather,
  ) {}

  /** One autocommit statement that writes. Whether it was given up or not, it may be executed. */
  execute<Result>(
    host: Host,
    kind: MessageKind,
    link: Link,
    { read }: Statement<Result>,
    deadlineMs: number,
  ): Promise<Result> {
    const { server } = link
    return this.exchange(host, kind, link, deadlineMs, (answer) => {
      const finish = read()
      const tx = server.begin()
      server.assignXid(tx)
      this.timeline.at(this.timeline.now + this.delay(kind), () => {
        if (!server.isUnderWay(tx) || server.isSucceeded) return false
        const result = finish()
        server.end(tx)
        answer(result)
        return undefined
      })
    })
  }

  /** One statement that is done when it arrives, or does not arrive. */
  ask<Result>(
    host: Host,
    kind: MessageKind,
    link: Link,
    look: () => Result,
    deadlineMs: number,
  ): Promise<Result> {
    return this.exchange(host, kind, link, deadlineMs, (answer) => {
      answer(look())
    })
  }

  delay(kind: MessageKind): number {
    const { slow, longestMs } = this.weather.only?.[kind] ?? this.weather
    return this.random() < slow && !this.isCalm ? this.random() * longestMs : 0.1 + this.random() * 2
  }

  private exchange<Result>(
    host: Host,
    kind: MessageKind,
    link: Link,
    deadlineMs: number,
    arrive: (answer: (result: Result) => void) => void,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      let isWaiting = true
      const settle = (act: () => void) => {
        if (!isWaiting) return false
        isWaiting = false
        act()
        return undefined
      }
      const { now } = this.timeline
      const { server } = link
      const { timeline: connectedTo } = server
      host.deliver(now + deadlineMs, () =>
        settle(() => {
          link.isBroken = true // what has missed its time is not used again
          reject(new Error('no answer'))
        }),
      )
      if (this.isLost(kind)) return
      this.timeline.at(now + host.outOfReachMs() + this.delay(kind), () => {
        if (connectedTo !== server.timeline) return false
        const reply = (act: () => void) => {
          if (!this.isLost(kind))
            host.deliver(this.timeline.now + host.outOfReachMs() + this.delay(kind), () => settle(act))
        }
        try {
          arrive((result) => reply(() => resolve(result)))
        } catch (error) {
          reply(() => reject(error instanceof Error ? error : new Error(String(error))))
        }
        return undefined
      })
    })
  }

  private isLost(kind: MessageKind): boolean {
    return !this.isCalm && this.random() < (this.weather.only?.[kind]?.lost ?? this.weather.lost)
  }
}
