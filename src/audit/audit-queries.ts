import type { Sql } from '../database/connect.js'
import type { DatedAuditEvent } from './audit-log.js'

/** Writes events in their order, in one statement. */
export async function insertAuditEvents(sql: Sql, events: DatedAuditEvent[]): Promise<void> {
  if (events.length === 0) return
  await sql.run(`
    insert into audit_events (occurred_at, user_id, mandate_id, action, details, request_id)
    select e.occurred_at, e.user_id, e.mandate_id, e.action, e.details, e.request_id
      from jsonb_to_recordset(?::jsonb) as e (n int, occurred_at timestamptz, user_id uuid, mandate_id text, action text, details jsonb, request_id text)
     order by e.n`,
  [JSON.stringify(events.map((event, n) => ({
    n,
    occurred_at: event.occurredAt,
    user_id: event.userId,
    mandate_id: event.mandateId,
    action: event.action,
    details: event.details,
    request_id: event.requestId,
  })))])
}
