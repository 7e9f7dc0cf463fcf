import type { Sql } from '../database/connect.js'
import type { Logger } from '../observability/logger.js'
import { stampTokenUses } from './service-credential-queries.js'

/** When long-lived tokens were used last: noted in memory by each request, written once a minute. */
export interface TokenUses {
  note: (tokenId: string) => void
  /** Writes what is noted. */
  flush: () => Promise<void>
  /** Writes what is noted, then stops. */
  close: () => Promise<void>
}

const flushEveryMs = 60_000
const maxWaiting = 100_000

/** Starts it. What cannot be written is kept for the next time; it decides nothing. */
export function startTokenUses({ sql, logger }: { sql: Sql; logger: Logger }): TokenUses {
  let uses = new Map<string, number>()

  const flush = async () => {
    if (uses.size === 0) return
    const written = uses
    uses = new Map()
    try {
      await stampTokenUses(sql, [...written])
    } catch (error) {
      logger.debug('the last uses of tokens could not be written', { error })
      for (const [id, atMs] of written) if (!uses.has(id) && uses.size < maxWaiting) uses.set(id, atMs)
    }
  }

  const timer = setInterval(() => void flush(), flushEveryMs)
  timer.unref()
  return {
    note: (tokenId) => {
      uses.set(tokenId, Date.now())
    },
    flush,
    close: async () => {
      clearInterval(timer)
      await flush()
    },
  }
}
