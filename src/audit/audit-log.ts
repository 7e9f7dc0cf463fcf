import type { Sql } from '../database/connect.js'
import type { Logger } from '../observability/logger.js'
import { insertAuditEvents } from './audit-queries.js'

/** Something that somebody did, to be remembered. */
export interface AuditEvent {
  userId: string | null
  /** `system`, or a mandate's id. */
  mandateId: string
  action: string
  /** Anything that JSON can say; nothing secret. */
  details: object
  requestId: string | null
}

/** An event with the moment it happened, which is not the moment it is written. */
export interface DatedAuditEvent extends AuditEvent {
  occurredAt: Date
}

/** Events that are written behind the request: recording one neither waits nor fails. */
export interface AuditLog {
  record: (event: AuditEvent) => void
  /** As `record`, but past 20 a minute of one user and action the rest is folded into one event with its count. */
  recordRefusal: (event: AuditEvent) => void
  /** As `record`, but at most once a minute for one user, mandate and action. */
  recordOnce: (event: AuditEvent) => void
  counts: () => { waiting: number; dropped: number }
  /** Writes what is waiting, then stops. */
  close: () => Promise<void>
}

const flushEveryMs = 100
const maxWaiting = 50_000
const maxBatch = 500
const windowMs = 60_000
const refusalsPerWindow = 20

/** How often something happened in the running minute, and the last of it. */
interface Tally {
  since: number
  count: number
  last: AuditEvent
}

/** Starts the audit's writer: a bounded queue, written in batches that are tried again until they are in the table. */
export function startAuditLog({ sql, logger }: { sql: Sql; logger: Logger }): AuditLog {
  const waiting: DatedAuditEvent[] = []
  const refusals = new Map<string, Tally>()
  const entries = new Map<string, number>()
  let dropped = 0
  let failing = false
  let writing: Promise<void> | undefined

  const record = (event: AuditEvent) => {
    if (waiting.length >= maxWaiting) dropped += 1
    else waiting.push({ ...event, occurredAt: new Date() })
  }

  const writeBatch = async () => {
    const batch = waiting.slice(0, maxBatch)
    await insertAuditEvents(sql, batch)
    waiting.splice(0, batch.length)
    if (failing) logger.info('the audit is written again', { waiting: waiting.length, dropped })
    failing = false
  }

  const write = async () => {
    try {
      while (waiting.length > 0) await writeBatch()
    } catch (error) {
      if (!failing) logger.error('the audit cannot be written; it is kept in memory and tried again', { waiting: waiting.length, error })
      failing = true
    }
  }

  const foldRefusals = (now: number, all: boolean) => {
    for (const [key, tally] of refusals) {
      if (!all && now - tally.since < windowMs) continue
      refusals.delete(key)
      const folded = tally.count - refusalsPerWindow
      if (folded > 0) record({ ...tally.last, details: { ...tally.last.details, folded } })
    }
    for (const [key, since] of entries) if (now - since >= windowMs) entries.delete(key)
  }

  const flush = async () => {
    writing ??= write().finally(() => { writing = undefined })
    await writing
  }

  const timer = setInterval(() => {
    foldRefusals(performance.now(), false)
    if (waiting.length > 0) void flush()
  }, flushEveryMs)
  timer.unref()

  return {
    record,
    recordRefusal: (event) => {
      const key = `${event.userId} ${event.action}`
      const tally = refusals.get(key) ?? { since: performance.now(), count: 0, last: event }
      tally.count += 1
      tally.last = event
      refusals.set(key, tally)
      if (tally.count <= refusalsPerWindow) record(event)
    },
    recordOnce: (event) => {
      const key = `${event.userId} ${event.mandateId} ${event.action}`
      if (entries.has(key)) return
      entries.set(key, performance.now())
      record(event)
    },
    counts: () => ({ waiting: waiting.length, dropped }),
    close: async () => {
      clearInterval(timer)
      foldRefusals(performance.now(), true)
      await flush()
      await flush()
      if (waiting.length + dropped > 0) logger.error('audit events were lost: the database did not take them', { lost: waiting.length + dropped })
    },
  }
}
