import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import type { Logger } from '../observability/logger.js'
import { insertAuditEvents } from './audit-queries.js'
import { dated, type AuditEvent, type DatedAuditEvent } from './event.js'
import { foldRefusals, type Fold } from './fold-refusals.js'
import { openSpill } from './spill.js'

/** Events that are written after the response. Recording one neither waits nor fails. */
export interface AuditLog {
  /** Records an event. It is never dropped. */
  record: (event: AuditEvent) => void
  /**
   * Records a refusal. Past 20 a minute of one user, mandate and action (or as `fold` says), the rest become
   * one event with a count. A refusal is dropped, and counted, when neither the database nor the disk takes
   * it.
   */
  recordRefusal: (event: AuditEvent, fold?: Fold) => void
  /** Records an event at most once a minute for one user, mandate and action. */
  recordOnce: (event: AuditEvent) => void
  /** Returns the events in memory that are not written yet, and those dropped since the start. */
  counts: () => { waiting: number; dropped: number; failing: boolean }
  /** Writes what is waiting to the database, or else to disk, and stops. */
  close: () => Promise<void>
}

interface Dependencies {
  sql: Sql
  logger: Logger
  /** The directory for events while the database does not take them. */
  spillDirectory: string
}

const flushEveryMs = 100
/** How long to wait after the database did not answer. Events of that time go to disk at once. */
const retryAfterMs = 500
/** Limit for refusals while neither the database nor the disk takes them. */
const maxWaiting = 50_000
const maxBatch = 500

/** Returns whether the database has refused the values themselves. Trying again would not help. */
const isRefused = (error: unknown) =>
  error instanceof GatewayError && (error.code === 'validation_failed' || error.code === 'conflict')

/** Creates the writer of batches. An event that the database refuses does not hold up the others. */
function eventWriter(sql: Sql, logger: Logger): (events: DatedAuditEvent[]) => Promise<void> {
  const writeOne = async (event: DatedAuditEvent) => {
    try {
      await insertAuditEvents(sql, [event])
    } catch (error) {
      if (!isRefused(error)) throw error
      logger.error('an audit event was lost: the database refuses its values', {
        action: event.action,
        requestId: event.requestId,
        error,
      })
    }
  }
  const writeBatch = async (batch: DatedAuditEvent[]) => {
    try {
      await insertAuditEvents(sql, batch)
    } catch (error) {
      if (!isRefused(error)) throw error
      for (const event of batch) await writeOne(event)
    }
  }
  return async (events) => {
    for (let start = 0; start < events.length; start += maxBatch)
      await writeBatch(events.slice(start, start + maxBatch))
  }
}

/**
 * Starts the audit log: a queue in memory, written in batches. What the database does not take goes to disk,
 * and from there to the database when it is back.
 */
export function startAuditLog({ sql, logger, spillDirectory }: Dependencies): AuditLog {
  const write = eventWriter(sql, logger)
  const spill = openSpill(spillDirectory, logger)
  let waiting: DatedAuditEvent[] = []
  let dropped = 0
  let untoldDrops = 0
  let failing = false
  let retryAt = 0
  /** Whether there may be events on disk. At the start, an earlier process may have left some. */
  let mayHaveSpilled = true
  let spillFailing = false
  let writing: Promise<void> | undefined

  const record = (event: AuditEvent) => {
    waiting.push(dated(event))
  }
  const refusals = foldRefusals((event) => {
    if (waiting.length < maxWaiting) record(event)
    else {
      dropped += 1
      untoldDrops += 1
    }
  })
  const entries = foldRefusals(record)

  const tellDrops = () => {
    if (untoldDrops === 0) return
    record({
      userId: null,
      mandateId: 'system',
      action: 'audit_events_dropped',
      details: { count: untoldDrops },
      requestId: null,
    })
    untoldDrops = 0
  }

  /** Writes the waiting events to disk. They stay in memory when the disk does not take them. */
  const toDisk = async () => {
    if (waiting.length === 0) return
    const saved = waiting
    waiting = []
    try {
      await spill.save(saved)
      mayHaveSpilled = true
      spillFailing = false
    } catch (error) {
      waiting = [...saved, ...waiting]
      if (!spillFailing)
        logger.error('audit events cannot be kept on disk either; they stay in memory', {
          waiting: waiting.length,
          directory: spillDirectory,
          error,
        })
      spillFailing = true
    }
  }

  const replay = async () => {
    mayHaveSpilled = false
    try {
      const replayed = await spill.replay(write)
      if (replayed > 0)
        logger.info('audit events that were kept on disk have been written', { events: replayed })
    } catch (error) {
      mayHaveSpilled = true
      if (error instanceof GatewayError) throw error // try the database again
      if (!spillFailing)
        logger.error('audit events that are kept on disk cannot be read; it is tried again', {
          directory: spillDirectory,
          error,
        })
      spillFailing = true
    }
  }

  const toDatabase = async () => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxBatch)
      await write(batch)
      waiting.splice(0, batch.length)
    }
    if (mayHaveSpilled) await replay()
  }

  const attempt = async () => {
    if (failing) await toDisk() // to disk first, because the database may take long to refuse
    try {
      await toDatabase()
      if (failing) logger.info('the audit is written again', { dropped })
      failing = false
      tellDrops()
    } catch (error) {
      if (!failing)
        logger.error('the audit cannot be written; events are kept on disk until it can', {
          waiting: waiting.length,
          directory: spillDirectory,
          error,
        })
      failing = true
      retryAt = performance.now() + retryAfterMs
      await toDisk()
    }
  }

  const flush = async () => {
    writing ??= attempt().finally(() => {
      writing = undefined
    })
    await writing
  }

  const timer = setInterval(() => {
    refusals.settle()
    entries.settle()
    if ((waiting.length > 0 || mayHaveSpilled) && performance.now() >= retryAt) void flush()
  }, flushEveryMs)
  timer.unref()

  return {
    record,
    recordRefusal: refusals.refusal,
    recordOnce: entries.once,
    counts: () => ({ waiting: waiting.length, dropped, failing }),
    close: async () => {
      clearInterval(timer)
      await writing
      refusals.settle(true)
      tellDrops()
      if (failing) await toDisk()
      else await flush()
      if (waiting.length > 0)
        logger.error('audit events were lost: neither the database nor the disk took them', {
          lost: waiting.length,
        })
    },
  }
}
