import pLimit from 'p-limit'
import { GatewayError } from '../errors.js'

/** Something that was let in and goes on for a while: a body, an answer that streams, a WebSocket. */
export interface OpenStream {
  /** The keys whose change makes the decision untrue. */
  dependsOn: readonly string[]
  /** Decides again, by what holds now. Answers what that depends on; rejects with the refusal. */
  decide: () => Promise<readonly string[]>
  /** Ends at once, because of the refusal. */
  cut: (refusal: unknown) => void
  /** The process is about to end: whatever has no end of its own ends now. */
  drain: () => void
}

/** The way of an open stream through this node: shut while what it was let in by may have changed. */
export interface Passage {
  /** Whether a chunk may pass at this very moment; to be asked for each. */
  isOpen: () => boolean
  /** Resolves when the next chunk may pass; rejects when the stream has been cut. */
  wait: () => Promise<void>
  /** The stream has ended by itself. */
  close: () => void
}

/** The streams that are open on this node, by what their admission depended on. */
export interface Streams {
  /** Stands for all that this node has heard of so far: another one as soon as it hears of more. */
  era: () => symbol
  /** Whether what was decided in that era can be relied on without asking again. */
  isCurrent: (era: symbol) => boolean
  /** Registers a stream that was let in by what held in `era`. */
  open: (stream: OpenStream, era: symbol) => Passage
  /**
   * Shuts the streams that depend on these keys (`*`: all) until each has been decided again. Resolves when
   * no refused one is open.
   */
  drop: (keys: readonly string[]) => Promise<void> | undefined
  /** As `drop` of everything, but nobody waits for it. */
  flush: () => void
  /** Asks all streams, and those that come, to end as they can. */
  drain: () => void
  count: () => number
  stop: () => void
}

/** A writer waits for those decisions, but not for ever. */
const settleMs = 200
/** What has not been decided by then is cut. */
const givenUpAfterMs = 5000
/** How often streams that are silent are decided again while this node holds no lease. */
const leaselessMs = 500
const decisionsAtATime = 8

const undecided = () =>
  new GatewayError('directory_unavailable', 'It could not be decided in time whether this may go on')

class TrackedStream implements Passage {
  private deciding: Promise<void> | undefined = undefined
  private isStale = false
  /** Keys that changed while it was being decided, and that it may turn out to depend on. */
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

  /**
   * A decision that is under way may have been made of what was: whoever comes later has it made once more.
   */
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
 * Makes the registry of a node's open streams. They are decided again while the node `holdsLease` not, and
 * whenever something changes.
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
   * Shuts them in this same run; answers when those that may not go on are cut, or some time has passed: what
   * is shut lets nothing through.
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
      // whoever passes a chunk on hears of it, or has been cut
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
