/** One key's count in its running window. */
export interface Window {
  count: number
  /** On the monotonic clock. */
  endsAt: number
  /** The part of the count that other nodes do not know yet. */
  unsent: number
}

/** Fixed windows by key, in this process's memory. */
export interface Windows {
  /** Returns the current window of a key, or a new one. */
  of: (key: string, now: number) => Window
  forget: (key: string) => void
}

/** Keys of one generation. Callers choose the keys, so without a bound they could fill the memory. */
const mostWindows = 100_000

/**
 * Creates windows of that length. It is synchronous, because every request asks it. Windows live in two
 * generations of `windowMs`, or of `most` keys: a window without use in one is dropped with the next, without
 * a look at each.
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
