/** One key's count in its running window. */
export interface Window {
  count: number
  /** On the monotonic clock. */
  endsAt: number
  /** Of the count, what other nodes have not been told yet. */
  unsent: number
}

/** Fixed windows by key, in this process's memory. */
export interface Windows {
  /** The running window of a key: a new one where there is none. */
  of: (key: string, now: number) => Window
  forget: (key: string) => void
}

/**
 * Of one generation. Strangers choose the keys: without a bound they would choose how much memory is taken.
 */
const mostWindows = 100_000

/**
 * Keeps windows of that length. Synchronous, because it is asked before every request. They live in two
 * generations of `windowMs`, or of `most` keys: what was not touched in one is forgotten with the next,
 * without looking at each.
 */
export function keepWindows(windowMs: number, most = mostWindows): Windows {
  let current = new Map<string, Window>()
  let previous = new Map<string, Window>()
  let turnsAt = performance.now() + windowMs
  return {
    of: (key, now) => {
      if (now >= turnsAt || current.size >= most) {
        previous = now < turnsAt + windowMs ? current : new Map<string, Window>()
        current = new Map<string, Window>()
        turnsAt = now + windowMs
      }
      let window = current.get(key) ?? previous.get(key)
      if (!window || now >= window.endsAt) window = { count: 0, endsAt: now + windowMs, unsent: 0 }
      current.set(key, window)
      return window
    },
    forget: (key) => {
      current.delete(key)
      previous.delete(key)
    },
  }
}
