import { LRUCache } from 'lru-cache'

/** The result of a load: the value, the keys whose change makes it outdated, and whether to keep it. */
export interface Loaded<Value> {
  value: Value
  keys: readonly string[]
  keep: boolean
}

/** A node's memory of the directory. It is read only while the node holds a lease. */
export interface Memory {
  /**
   * Returns the value of that name: at once if it is in memory, else as `load` reads it. Concurrent callers
   * share one load. Rejects as `load` does.
   */
  read: <Value>(name: string, load: () => Promise<Loaded<Value>>) => Value | Promise<Value>
  /**
   * Drops what depends on these keys, and detaches loads that are under way. The key `*` drops everything.
   */
  drop: (keys: readonly string[]) => void
  /** Drops everything. */
  flush: () => void
  counts: () => { entries: number; hits: number; misses: number }
}

interface Entry {
  value: unknown
  keys: readonly string[]
}

/** A load that was sent. Its result may or may not include a change that happens meanwhile. */
interface Flight {
  loaded: Promise<Loaded<unknown>>
  dropped: Set<string>
  flushed: boolean
}

interface Dependencies {
  /** Returns whether the node may answer from memory at this moment. */
  holdsLease: () => boolean
  maxEntries: number
}

/** Creates an empty memory of at most `maxEntries` values. The least recently used entry is removed first. */
export function createMemory({ holdsLease, maxEntries }: Dependencies): Memory {
  const dependents = new Map<string, Set<string>>()
  const flights = new Set<Flight>()
  const joinable = new Map<string, Flight>()
  let hits = 0
  let misses = 0

  const entries = new LRUCache<string, Entry>({
    max: maxEntries,
    dispose: ({ keys }, name) => {
      for (const key of keys) {
        const names = dependents.get(key)
        if (names?.delete(name) && names.size === 0) dependents.delete(key)
      }
    },
  })

  const remember = (name: string, { value, keys }: Loaded<unknown>) => {
    entries.set(name, { value, keys })
    for (const key of keys) {
      const names = dependents.get(key)
      if (names) names.add(name)
      else dependents.set(key, new Set([name]))
    }
  }

  const isDetached = (flight: Flight, keys: readonly string[]) =>
    flight.flushed || keys.some((key) => flight.dropped.has(key))

  const send = async <Value>(name: string, load: () => Promise<Loaded<Value>>): Promise<Value> => {
    misses += 1
    // The load is registered before it is sent, so that no change slips in between.
    const flight: Flight = { loaded: Promise.resolve().then(load), dropped: new Set(), flushed: false }
    flights.add(flight)
    joinable.set(name, flight)
    try {
      const loaded = (await flight.loaded) as Loaded<Value>
      if (loaded.keep && !isDetached(flight, loaded.keys)) remember(name, loaded)
      return loaded.value
    } finally {
      flights.delete(flight)
      if (joinable.get(name) === flight) joinable.delete(name)
    }
  }

  /**
   * The other request's load was sent before this request began. Its result counts only if no change was
   * heard of since.
   */
  const join = async <Value>(
    flight: Flight,
    name: string,
    load: () => Promise<Loaded<Value>>,
  ): Promise<Value> => {
    const loaded = (await flight.loaded) as Loaded<Value>
    return holdsLease() && !isDetached(flight, loaded.keys) ? loaded.value : await send(name, load)
  }

  const flush = () => {
    entries.clear()
    for (const flight of flights) flight.flushed = true
    joinable.clear()
  }

  return {
    read: <Value>(name: string, load: () => Promise<Loaded<Value>>) => {
      if (!holdsLease()) return send(name, load)
      const entry = entries.get(name)
      if (entry) {
        hits += 1
        return entry.value as Value
      }
      const flight = joinable.get(name)
      return flight ? join(flight, name, load) : send(name, load)
    },
    drop: (keys) => {
      if (keys.includes('*')) flush()
      for (const key of keys) {
        for (const name of [...(dependents.get(key) ?? [])]) entries.delete(name)
        for (const flight of flights) flight.dropped.add(key)
      }
    },
    flush,
    counts: () => ({ entries: entries.size, hits, misses }),
  }
}
