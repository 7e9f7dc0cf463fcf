import type { Sql } from '../database/connect.js'
import { putBack } from './personal.js'

/** A filter of events. They are listed newest first. */
export interface EventFilter {
  from?: Date | undefined
  to?: Date | undefined
  userId?: string | undefined
  /** `system`, or a mandate's id. */
  mandateId?: string | undefined
  action?: string | undefined
  requestId?: string | undefined
}

/** A position in the list: the event after which it goes on. */
export interface EventPosition {
  /** The moment, in the database's own text form. */
  at: string
  seq: string
}

/** An event with its values about persons, as far as they are not erased. */
export interface ListedEvent {
  seq: number
  id: string
  occurredAt: Date
  userId: string | null
  /** The user's current name; null when the user is gone. */
  username: string | null
  mandateId: string | null
  action: string
  details: Record<string, unknown>
  requestId: string | null
  /** Fields of the details whose values about a person were erased. */
  erased: string[]
  /** The event's position in the chain; null until it is sealed. */
  position: number | null
}

interface EventRow extends Omit<ListedEvent, 'seq' | 'position' | 'erased'> {
  seq: string
  position: string | null
  at: string
  hashes: Record<string, string>
  persons: { field: string; value: string }[]
}

function listedEvent({ seq, position, at: _, hashes, persons, details, ...rest }: EventRow): ListedEvent {
  for (const { field, value } of persons) putBack(details, field, value)
  const known = new Set(persons.map(({ field }) => field))
  return {
    ...rest,
    seq: Number(seq),
    details,
    erased: Object.keys(hashes).filter((field) => !known.has(field)),
    position: position === null ? null : Number(position),
  }
}

function conditionsOf(
  { from, to, userId, mandateId, action, requestId }: EventFilter,
  after: EventPosition | undefined,
): { conditions: string[]; values: (string | Date)[] } {
  const all = [
    ['e.occurred_at >= ?', from],
    ['e.occurred_at < ?', to],
    ['e.user_id = ?::uuid', userId],
    ['e.mandate_id = ?', mandateId],
    ['e.action = ?', action],
    ['e.request_id = ?', requestId],
  ] as const
  const given = all.flatMap(([condition, value]) => (value === undefined ? [] : [{ condition, value }]))
  return {
    conditions: [
      ...given.map(({ condition }) => condition),
      ...(after ? ['(e.occurred_at, e.seq) < (?::timestamptz, ?::bigint)'] : []),
    ],
    values: [...given.map(({ value }) => value), ...(after ? [after.at, after.seq] : [])],
  }
}

/** Lists events, newest first, after a position in the list. Each has its own position. */
export async function listAuditEvents(
  sql: Sql,
  filter: EventFilter,
  { after, atMost }: { after: EventPosition | undefined; atMost: number },
): Promise<{ event: ListedEvent; position: EventPosition }[]> {
  const { conditions, values } = conditionsOf(filter, after)
  const rows = await sql.rows<EventRow>(
    `
    with page as (
      select * from audit_events e
       ${conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`}
       order by e.occurred_at desc, e.seq desc
       limit ?
    )
    select e.seq::text as seq, e.id, e.occurred_at as "occurredAt", e.occurred_at::text as at,
           e.user_id as "userId", u.username, e.mandate_id as "mandateId", e.action,
           e.details, e.request_id as "requestId", e.personal as hashes, s.position::text as position,
           coalesce(
             (select jsonb_agg(jsonb_build_object('field', p.field, 'value', p.value))
                from audit_personal p
               where p.event_id = e.id),
             '[]') as persons
      from page e
      left join users u on u.id = e.user_id
      left join audit_seals s on s.seq = e.seq
     order by e.occurred_at desc, e.seq desc`,
    [...values, atMost],
  )
  return rows.map((row) => ({ event: listedEvent(row), position: { at: row.at, seq: row.seq } }))
}

/** How many events of one action there are in one step of time. */
export interface CountedEvents {
  /** The begin of the step. */
  at: Date
  action: string
  count: number
}

/** Counts events by steps of time, from `origin` on, and by action. Steps without events are left out. */
export async function countAuditEvents(
  sql: Sql,
  filter: EventFilter,
  { stepSeconds, origin }: { stepSeconds: number; origin: Date },
): Promise<CountedEvents[]> {
  const { conditions, values } = conditionsOf(filter, undefined)
  return await sql.rows(
    `
    select date_bin(make_interval(secs => ?), e.occurred_at, ?::timestamptz) as at,
           e.action,
           count(*)::int as count
      from audit_events e
     ${conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`}
     group by 1, 2`,
    [stepSeconds, origin, ...values],
  )
}
