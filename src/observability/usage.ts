import { randomUUID } from 'node:crypto'
import { dayMs } from '../domain/time.js'
import type { Logger } from './logger.js'

/** The requests of one mandate on one day (UTC, `YYYY-MM-DD`). */
export interface UsageRow {
  mandateId: string
  day: string
  /** Every request that named it and was decided, the denied ones included. */
  requests: number
  denials: number
}

/** Rows that are added together. The database adds a batch once, even if it is sent again. */
export interface UsageBatch {
  /** Of this process. */
  writerId: string
  /** Rises with each batch. */
  number: number
  rows: UsageRow[]
}

/** Counts requests per mandate in memory, and writes them to the database every second. */
export interface Usage {
  count: (mandateId: string, denied: boolean) => void
  /** How many mandates wait to be written, and how many requests were not counted because the memory was full. */
  counts: () => { waiting: number; dropped: number }
  /** Writes what waits, then stops. */
  close: () => Promise<void>
}

interface Dependencies {
  /**
   * Adds the rows, unless a batch of that number has been added before. Rejects where that is not certain.
   */
  write: (batch: UsageBatch) => Promise<void>
  /** Removes the writer, which sends no further batches. */
  forget: (writerId: string) => Promise<void>
  logger: Logger
  now?: () => number
  everyMs?: number
  /** Mandates that are counted at a time; a database that is away must not fill the memory. */
  mostWaiting?: number
}

/**
 * Starts to count. A batch whose result is unknown is sent again unchanged, with the same number, before any
 * newer batch.
 */
export function startUsage({
  write,
  forget,
  logger,
  now = Date.now,
  everyMs = 1000,
  mostWaiting = 100_000,
}: Dependencies): Usage {
  const writerId = randomUUID()
  let number = 0
  let dropped = 0
  let failing = false
  /** By mandate, of the running day. */
  let current = new Map<string, UsageRow>()
  /** What is left of the days before. */
  let earlier: UsageRow[] = []
  let day = ''
  let dayEndsAt = 0
  let unsettled: UsageBatch | undefined
  let writing: Promise<void> | undefined

  const turnDay = (moment: number) => {
    earlier.push(...current.values())
    current = new Map<string, UsageRow>()
    day = new Date(moment).toISOString().slice(0, 10)
    dayEndsAt = (Math.floor(moment / dayMs) + 1) * dayMs
  }
  const begin = (mandateId: string): UsageRow | undefined => {
    if (current.size + earlier.length >= mostWaiting) {
      dropped += 1
      return undefined
    }
    const row = { mandateId, day, requests: 0, denials: 0 }
    current.set(mandateId, row)
    return row
  }

  const settle = async () => {
    if (!unsettled) return
    await write(unsettled)
    unsettled = undefined
    if (failing) logger.info('the usage is written again', { dropped })
    failing = false
  }
  /**
   * Writes the batch whose result is unknown, then a new one of all counts so far. Later counts wait for the
   * next time.
   */
  const writeAll = async () => {
    try {
      await settle()
      if (current.size + earlier.length === 0) return
      unsettled = { writerId, number: (number += 1), rows: [...earlier, ...current.values()] }
      earlier = []
      current = new Map<string, UsageRow>()
      await settle()
    } catch (error) {
      if (!failing)
        logger.warn('the usage cannot be written; it is kept in memory and tried again', { error })
      failing = true
    }
  }
  const flush = async () => {
    writing ??= writeAll().finally(() => {
      writing = undefined
    })
    await writing
  }
  const timer = setInterval(() => void flush(), everyMs)
  timer.unref()

  return {
    count: (mandateId, denied) => {
      const moment = now()
      if (moment >= dayEndsAt) turnDay(moment)
      const row = current.get(mandateId) ?? begin(mandateId)
      if (!row) return
      row.requests += 1
      if (denied) row.denials += 1
    },
    counts: () => ({ waiting: current.size + earlier.length + (unsettled?.rows.length ?? 0), dropped }),
    close: async () => {
      clearInterval(timer)
      await flush()
      await flush() // one that was under way may have begun before the last request was counted
      const lost = current.size + earlier.length + (unsettled?.rows.length ?? 0)
      if (lost + dropped > 0)
        logger.error('usage was lost: the database did not take it', { mandates: lost, requests: dropped })
      if (lost === 0 && number > 0)
        await forget(writerId).catch((error: unknown) =>
          logger.debug('the usage writer is still listed', { error }),
        )
    },
  }
}
