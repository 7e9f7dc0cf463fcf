import { LRUCache } from 'lru-cache'

/** What a load found: the value, the keys whose change makes it untrue, and whether it is worth keeping. */
export interface Loaded<Value> {
  value: Value
  keys: readonly string[]
  keep: boolean
}

/** What a node remembers of the directory. It answers from memory only while the node holds a lease. */
export interface Memory {
  /**
   * The value of that name: at once if it is remembered, else as `load` reads it. One load serves all who ask
   * meanwhile. Rejects as `load` does.
   */
  read: <Value>(name: string, load: () => Promise<Loaded<Value>>) => Value | Promise<Value>
  /** Forgets what depends on these keys, loads under way included; the key `*` is everything. */
  drop: (keys: readonly string[]) => void
  /** Forgets everything. */
  flush: () => void
  counts: () => { entries: number; hits: number; misses: number }
}

interface Entry {
  value: unknown
  keys: readonly string[]
}

/** A load that has been sent. What changes while it is under way may or may not be in its answer. */
interface Flight {
  loaded: Promise<Loaded<unknown>>
  dropped: Set<string>
  flushed: boolean
}

interface Dependencies {
  /** Whether the node may answer from memory at this very moment. */
  holdsLease: () => boolean
  maxEntries: number
}

/** Makes an empty memory of at most `maxEntries` values; the least recently used go first. */
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
    // Registered before it is sent, so that no change slips in between.
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
   * The load of another request was sent before this one began: its answer counts only if nothing says
   * otherwise.
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
