import { LRUCache } from 'lru-cache'
import type { Sql } from '../database/connect.js'
import type { Logger } from '../observability/logger.js'
import { findSessionUse, stampSessionUses } from './last-use-queries.js'

/** When sessions were used last where a policy has `idle`: noted in memory, written in batches. */
export interface LastUses {
  note: (sessionId: string, atMs: number) => void
  /** Returns the last use that this node knows of, in milliseconds since 1970; undefined for none. */
  known: (sessionId: string) => number | undefined
  /** Reads the last use that any node has written, once a second at most for each session. */
  readAnew: (sessionId: string) => Promise<number | undefined>
  /** Writes what is noted. */
  flush: () => Promise<void>
  /** Writes what is noted, then stops. */
  close: () => Promise<void>
}

const flushEveryMs = 30_000
const maxSessions = 100_000
const readAgainAfterMs = 1000

/** Starts it. What cannot be written is kept for the next time. */
export function startLastUses({ sql, logger }: { sql: Sql; logger: Logger }): LastUses {
  const uses = new LRUCache<string, number>({ max: maxSessions })
  const reads = new LRUCache<string, Promise<number | undefined>>({ max: maxSessions, ttl: readAgainAfterMs })
  let unwritten = new Map<string, number>()

  const learn = (sessionId: string, atMs: number) => {
    if (atMs > (uses.get(sessionId) ?? 0)) uses.set(sessionId, atMs)
  }
  const flush = async () => {
    if (unwritten.size === 0) return
    const written = unwritten
    unwritten = new Map()
    try {
      await stampSessionUses(sql, [...written])
    } catch (error) {
      logger.debug('the last uses of sessions could not be written', { error })
      for (const [id, atMs] of written)
        if (!unwritten.has(id) && unwritten.size < maxSessions) unwritten.set(id, atMs)
    }
  }
  const timer = setInterval(() => void flush(), flushEveryMs)
  timer.unref()

  return {
    note: (sessionId, atMs) => {
      uses.set(sessionId, atMs)
      if (unwritten.size < maxSessions || unwritten.has(sessionId)) unwritten.set(sessionId, atMs)
    },
    known: (sessionId) => uses.get(sessionId),
    readAnew: (sessionId) => {
      const known = reads.get(sessionId)
      if (known) return known
      const read = findSessionUse(sql, sessionId).then((atMs) => {
        if (atMs !== null) learn(sessionId, atMs)
        return uses.get(sessionId)
      })
      reads.set(sessionId, read)
      read.catch(() => reads.delete(sessionId))
      return read
    },
    flush,
    close: async () => {
      clearInterval(timer)
      await flush()
    },
  }
}
