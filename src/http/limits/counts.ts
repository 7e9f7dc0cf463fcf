import type { Logger } from '../../observability/logger.js'
import { keepWindows, type Window } from './count-windows.js'
import { connectRedisCounters, type SharedCounters } from './redis-counters.js'

/** Adds to a key's current window at once: one by default. */
export type CountOne = (key: string, now: number, amount?: number) => Window

/** Counts rare events, together with the other nodes, before it returns. */
export interface Tally {
  /** Adds to a key's current window. 0 only reads it. */
  add: (key: string, amount: number) => Promise<Pick<Window, 'count' | 'endsAt'>>
  forget: (key: string) => Promise<void>
}

/** The counters of rate limits, of this process alone, or of all nodes that share a Redis. */
export interface Counts {
  /** For every request. It does not wait: the counts of other nodes arrive within a tenth of a second. */
  each: (name: string, windowMs: number) => CountOne
  tally: (name: string, windowMs: number) => Tally
  close: () => Promise<void>
}

/** How often nodes exchange counts. Until then, each admits what its own count allows. */
const tellEveryMs = 100
const atATime = 500
/** Most keys to exchange. While Redis is away, further ones are not kept: each node then counts alone. */
const mostUntold = 100_000

/** A window with something to exchange. */
interface Untold {
  key: string
  window: Window
}

/** Sends the counts of this process to the shared counters, and takes over theirs. */
function createTeller(shared: SharedCounters) {
  const untold = new Map<Window, string>()
  let telling: Promise<void> | undefined

  const tellSome = async (some: Untold[]) => {
    const now = performance.now()
    const amounts = some.map(({ window }) => window.unsent)
    for (const { window } of some) window.unsent = 0
    const counts = await shared.add(
      some.map(({ key, window }, index) => ({
        key,
        amount: amounts[index] ?? 0,
        ttlMs: window.endsAt - now,
      })),
    )
    for (const [index, { key, window }] of some.entries()) {
      const count = counts[index]
      if (count) {
        // Never less than the count of this process: a restarted Redis has lost its counts.
        window.count = Math.max(window.count, count.count + window.unsent)
        window.endsAt = performance.now() + count.ttlMs
      } else {
        untold.set(window, key)
        window.unsent += amounts[index] ?? 0
      }
    }
  }

  const dropEnded = () => {
    const now = performance.now()
    for (const window of untold.keys()) if (window.endsAt <= now) untold.delete(window)
  }

  const tell = async () => {
    dropEnded()
    const all = [...untold].map(([window, key]) => ({ key, window }))
    untold.clear()
    for (let begin = 0; begin < all.length; begin += atATime)
      await tellSome(all.slice(begin, begin + atATime))
  }

  let ticks = 0
  const timer = setInterval(() => {
    if (untold.size === 0 || telling) return
    if (shared.isUp())
      telling = tell().finally(() => {
        telling = undefined
      })
    // Otherwise an outage would keep everything that was ever counted in it.
    else if ((ticks += 1) % 10 === 0) dropEnded()
  }, tellEveryMs)
  timer.unref()

  return {
    note: (key: string, window: Window, amount: number) => {
      if (untold.size >= mostUntold && !untold.has(window)) return
      untold.set(window, key)
      window.unsent += amount
    },
    close: async () => {
      clearInterval(timer)
      await telling
    },
  }
}

/** Opens the counters. Without a Redis, or while it does not answer, each node counts by itself. */
export function openCounts({ redisUrl, logger }: { redisUrl?: string | undefined; logger: Logger }): Counts {
  const shared = redisUrl === undefined ? undefined : connectRedisCounters({ url: redisUrl, logger })
  const teller = shared && createTeller(shared)
  return {
    each: (name, windowMs) => {
      const windows = keepWindows(windowMs)
      return (key, now, amount = 1) => {
        const window = windows.of(key, now)
        window.count = Math.max(0, window.count + amount)
        teller?.note(`${name}:${windowMs}:${key}`, window, amount)
        return window
      }
    },
    tally: (name, windowMs) => {
      const windows = keepWindows(windowMs)
      const sharedKey = (key: string) => `${name}:${windowMs}:${key}`
      return {
        add: async (key, amount) => {
          const window = windows.of(key, performance.now())
          window.count = Math.max(0, window.count + amount)
          const [count] =
            (await shared?.add([
              { key: sharedKey(key), amount, ttlMs: window.endsAt - performance.now() },
            ])) ?? []
          return count && count.count > window.count
            ? { count: count.count, endsAt: performance.now() + count.ttlMs }
            : window
        },
        forget: async (key) => {
          windows.forget(key)
          await shared?.forget(sharedKey(key))
        },
      }
    },
    close: async () => {
      await teller?.close()
      shared?.close()
    },
  }
}
