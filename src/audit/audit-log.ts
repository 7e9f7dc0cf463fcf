import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import type { Logger } from '../observability/logger.js'
import { insertAuditEvents } from './audit-queries.js'
import { dated, type AuditEvent, type DatedAuditEvent } from './event.js'
import { foldRefusals, type Fold } from './fold-refusals.js'
import { openSpill, type Spill } from './spill.js'

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

/** The queue of events: in memory, then in the database, or on disk while the database does not take them. */
class EventQueue {
  private waiting: DatedAuditEvent[] = []
  private dropped = 0
  private unreportedDrops = 0
  private failing = false
  private spillFailing = false
  private retryAt = 0
  /** Whether there may be events on disk. At the start, an earlier process may have left some. */
  private mayHaveSpilled = true
  private running: Promise<void> | undefined
  private readonly write: (events: DatedAuditEvent[]) => Promise<void>
  private readonly spill: Spill

  constructor(private readonly dependencies: Dependencies) {
    this.write = eventWriter(dependencies.sql, dependencies.logger)
    this.spill = openSpill(dependencies.spillDirectory, dependencies.logger)
  }

  add(event: AuditEvent): void {
    this.waiting.push(dated(event))
  }

  /** Adds an event, or drops it when too many wait. */
  addOrDrop(event: AuditEvent): void {
    if (this.waiting.length < maxWaiting) this.add(event)
    else {
      this.dropped += 1
      this.unreportedDrops += 1
    }
  }

  counts(): { waiting: number; dropped: number; failing: boolean } {
    return { waiting: this.waiting.length, dropped: this.dropped, failing: this.failing }
  }

  isDue(): boolean {
    return (this.waiting.length > 0 || this.mayHaveSpilled) && performance.now() >= this.retryAt
  }

  async flush(): Promise<void> {
    this.running ??= this.attempt().finally(() => {
      this.running = undefined
    })
    await this.running
  }

  async close(): Promise<void> {
    await this.running
    this.reportDrops()
    if (this.failing) await this.toDisk()
    else await this.flush()
    if (this.waiting.length > 0)
      this.dependencies.logger.error('audit events were lost: neither the database nor the disk took them', {
        lost: this.waiting.length,
      })
  }

  private reportDrops(): void {
    if (this.unreportedDrops === 0) return
    this.add({
      userId: null,
      mandateId: 'system',
      action: 'audit_events_dropped',
      details: { count: this.unreportedDrops },
      requestId: null,
    })
    this.unreportedDrops = 0
  }

  /** Writes the waiting events to disk. They stay in memory when the disk does not take them. */
  private async toDisk(): Promise<void> {
    if (this.waiting.length === 0) return
    const saved = this.waiting
    this.waiting = []
    try {
      await this.spill.save(saved)
      this.mayHaveSpilled = true
      this.spillFailing = false
    } catch (error) {
      this.waiting = [...saved, ...this.waiting]
      this.reportSpill('audit events cannot be kept on disk either; they stay in memory', error)
    }
  }

  /** Logs a fault of the disk, once until it is mended. */
  private reportSpill(message: string, error: unknown): void {
    const { logger, spillDirectory: directory } = this.dependencies
    if (!this.spillFailing) logger.error(message, { waiting: this.waiting.length, directory, error })
    this.spillFailing = true
  }

  private async replay(): Promise<void> {
    this.mayHaveSpilled = false
    try {
      const replayed = await this.spill.replay(this.write)
      if (replayed > 0)
        this.dependencies.logger.info('audit events that were kept on disk have been written', {
          events: replayed,
        })
    } catch (error) {
      this.mayHaveSpilled = true
      if (error instanceof GatewayError) throw error // try the database again
      this.reportSpill('audit events that are kept on disk cannot be read; it is tried again', error)
    }
  }

  private async toDatabase(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.slice(0, maxBatch)
      await this.write(batch)
      this.waiting.splice(0, batch.length)
    }
    if (this.mayHaveSpilled) await this.replay()
  }

  private async attempt(): Promise<void> {
    const { logger, spillDirectory: directory } = this.dependencies
    if (this.failing) await this.toDisk() // to disk first, because the database may take long to refuse
    try {
      await this.toDatabase()
      if (this.failing) logger.info('the audit is written again', { dropped: this.dropped })
      this.failing = false
      this.reportDrops()
    } catch (error) {
      if (!this.failing)
        logger.error('the audit cannot be written; events are kept on disk until it can', {
          waiting: this.waiting.length,
          directory,
          error,
        })
      this.failing = true
      this.retryAt = performance.now() + retryAfterMs
      await this.toDisk()
    }
  }
}

/**
 * Starts the audit log: a queue in memory, written in batches. What the database does not take goes to disk,
 * and from there to the database when it is back.
 */
export function startAuditLog(dependencies: Dependencies): AuditLog {
  const queue = new EventQueue(dependencies)
  const record = (event: AuditEvent) => queue.add(event)
  const refusals = foldRefusals((event) => queue.addOrDrop(event))
  const entries = foldRefusals(record)
  const timer = setInterval(() => {
    refusals.settle()
    entries.settle()
    if (queue.isDue()) void queue.flush()
  }, flushEveryMs)
  timer.unref()
  return {
    record,
    recordRefusal: refusals.refusal,
    recordOnce: entries.once,
    counts: () => queue.counts(),
    close: async () => {
      clearInterval(timer)
      refusals.settle(true)
      await queue.close()
    },
  }
}
