import pLimit from 'p-limit'
import { GatewayError } from '../errors.js'

/** Something that was admitted and goes on for a while: a body, a streaming response, a WebSocket. */
export interface OpenStream {
  /** A change of one of these keys makes the decision outdated. */
  dependsOn: readonly string[]
  /**
   * Decides again on the current state. Returns the keys that this decision depends on; rejects with the
   * refusal.
   */
  decide: () => Promise<readonly string[]>
  /** Ends the stream at once, because of the refusal. */
  cut: (refusal: unknown) => void
  /** Ends a stream that has no end of its own, because the process stops. */
  drain: () => void
}

/** The passage of an open stream through this node. It is shut while its admission may be outdated. */
export interface Passage {
  /** Returns whether a chunk may pass at this moment. Call it for each chunk. */
  isOpen: () => boolean
  /** Resolves when the next chunk may pass; rejects when the stream has been cut. */
  wait: () => Promise<void>
  /** Call it when the stream has ended by itself. */
  close: () => void
}

/** The open streams of this node, indexed by what their admission depended on. */
export interface Streams {
  /**
   * Returns a symbol for the changes that this node has heard of so far. A new change brings a new symbol.
   */
  era: () => symbol
  /** Returns whether a decision of that era still holds without deciding again. */
  isCurrent: (era: symbol) => boolean
  /** Registers a stream that was admitted in `era`. */
  open: (stream: OpenStream, era: symbol) => Passage
  /**
   * Shuts the streams that depend on these keys (`*`: all) until each has been decided again. Resolves when
   * every refused stream is cut.
   */
  drop: (keys: readonly string[]) => Promise<void> | undefined
  /** Drops everything, and waits for nothing. */
  flush: () => void
  /** Asks all streams, and those that open later, to end as they can. */
  drain: () => void
  count: () => number
  stop: () => void
}

/** How long a writer waits for those decisions. */
const settleMs = 200
/** Streams that are not decided by then are cut. */
const givenUpAfterMs = 5000
/** How often silent streams are decided again while this node holds no lease. */
const leaselessMs = 500
const decisionsAtATime = 8

const undecided = () =>
  new GatewayError('directory_unavailable', 'It could not be decided in time whether this may go on')

class TrackedStream implements Passage {
  private deciding: Promise<void> | undefined = undefined
  private isStale = false
  /** Keys that changed during the decision, on which it may turn out to depend. */
  private readonly missed = new Set<string>()
  ended = false

  constructor(
    readonly stream: OpenStream,
    private readonly registry: {
      holdsLease: () => boolean
      index: (one: TrackedStream, keys: readonly string[]) => void
      forget: (one: TrackedStream) => void
    },
  ) {}

  isOpen(): boolean {
    return this.deciding === undefined && !this.ended && this.registry.holdsLease()
  }

  get isDeciding(): boolean {
    return this.deciding !== undefined
  }

  /** A running decision may be based on the old state. So a later caller makes it run once more. */
  wait(): Promise<void> {
    if (this.ended) return Promise.reject(undecided())
    this.isStale = true
    this.deciding ??= this.decide()
    return this.deciding
  }

  close(): void {
    this.ended = true
    this.registry.forget(this)
  }

  cut(refusal: unknown): void {
    if (this.ended) return
    this.close()
    this.stream.cut(refusal)
  }

  miss(keys: readonly string[]): void {
    if (this.deciding) for (const key of keys) this.missed.add(key)
  }

  private isDue(): boolean {
    return this.isStale && !this.ended
  }

  private async decide(): Promise<void> {
    try {
      do {
        this.isStale = false
        this.missed.clear()
        const keys = await this.stream.decide()
        if (!this.ended) this.registry.index(this, keys)
        if (keys.some((key) => this.missed.has(key))) this.isStale = true
      } while (this.isDue())
    } catch (refusal) {
      this.cut(refusal)
      throw refusal
    } finally {
      this.deciding = undefined
    }
    if (this.ended) throw undecided()
  }
}

/**
 * Creates the registry of a node's open streams. Streams are decided again at each change, and while the node
 * holds no lease.
 */
export function createStreams({ holdsLease }: { holdsLease: () => boolean }): Streams {
  const byKey = new Map<string, Set<TrackedStream>>()
  const all = new Map<TrackedStream, readonly string[]>()
  const limit = pLimit(decisionsAtATime)
  let era = Symbol()
  let draining = false
  let round: Promise<void> | undefined

  const unindex = (one: TrackedStream) => {
    for (const key of all.get(one) ?? []) {
      const streams = byKey.get(key)
      if (streams?.delete(one) && streams.size === 0) byKey.delete(key)
    }
  }
  const index = (one: TrackedStream, keys: readonly string[]) => {
    unindex(one)
    all.set(one, keys)
    for (const key of keys) {
      const streams = byKey.get(key)
      if (streams) streams.add(one)
      else byKey.set(key, new Set([one]))
    }
  }
  const forget = (one: TrackedStream) => {
    unindex(one)
    all.delete(one)
  }

  /**
   * Shuts the streams in this same run. Resolves when the refused ones are cut, or after some time: a shut
   * stream lets nothing through.
   */
  const settle = async (streams: Iterable<TrackedStream>) => {
    const shut = [...streams]
    const decided = Promise.all(shut.map((one) => one.wait().catch(() => undefined)))
    const giveUp = setTimeout(() => {
      for (const one of shut) if (one.isDeciding) one.cut(undecided())
    }, givenUpAfterMs)
    void decided.then(() => clearTimeout(giveUp))
    let late: NodeJS.Timeout | undefined
    await Promise.race([
      decided,
      new Promise((resolve) => {
        late = setTimeout(resolve, settleMs)
      }),
    ])
    clearTimeout(late)
  }

  const lookAround = setInterval(() => {
    if (!holdsLease())
      round ??= Promise.all(
        [...all.keys()].map((one) =>
          limit(() => (one.ended ? undefined : one.wait().catch(() => undefined))),
        ),
      ).then(() => {
        round = undefined
      })
  }, leaselessMs)
  lookAround.unref()

  return {
    era: () => era,
    isCurrent: (decidedIn) => decidedIn === era && holdsLease(),
    open: (stream, decidedIn) => {
      const one = new TrackedStream(stream, { holdsLease, index, forget })
      index(one, stream.dependsOn)
      // the caller hears of a refusal at its next chunk, or the stream has been cut
      if (decidedIn !== era) one.wait().catch(() => undefined)
      if (draining) stream.drain()
      return one
    },
    drop: (keys) => {
      if (keys.length === 0) return undefined
      era = Symbol()
      for (const one of all.keys()) one.miss(keys)
      const concerned = new Set(
        keys.includes('*') ? all.keys() : keys.flatMap((key) => [...(byKey.get(key) ?? [])]),
      )
      return concerned.size === 0 ? undefined : settle(concerned)
    },
    flush: () => {
      era = Symbol()
      void settle(all.keys())
    },
    drain: () => {
      draining = true
      for (const { stream } of [...all.keys()]) stream.drain()
    },
    count: () => all.size,
    stop: () => clearInterval(lookAround),
  }
}
