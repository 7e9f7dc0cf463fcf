import type { Sql, Tx } from '../database/connect.js'
import type { DatedAuditEvent } from './event.js'
import { splitEvent } from './personal.js'

/** Inserts events in their order, in one statement. An event that exists already is left as it is. */
export async function insertAuditEvents(sql: Sql, events: DatedAuditEvent[]): Promise<void> {
  if (events.length === 0) return
  await sql.rows(
    `
    with given as (
      select *
        from jsonb_to_recordset(?::jsonb) as e (
               n int, id uuid, occurred_at timestamptz, user_id uuid, mandate_id text, action text,
               details jsonb, request_id text, personal jsonb, persons jsonb)
    ), made as (
      insert into audit_events (id, occurred_at, user_id, mandate_id, action, details, request_id, personal)
      select id, occurred_at, user_id, mandate_id, action, details, request_id, personal
        from given
       order by n
          on conflict (id) do nothing
      returning id
    )
    insert into audit_personal (event_id, mandate_id, field, person_id, salt, value)
    select g.id, g.mandate_id, p.field, p."personId", p.salt, p.value
      from given g
      join made on made.id = g.id
     cross join lateral
           jsonb_to_recordset(g.persons) as p (field text, "personId" uuid, salt text, value text)
     where not exists (select from audit_erased e where e.person_id = p."personId")`,
    [
      JSON.stringify(
        events.map((event, n) => {
          const { details, hashes, values } = splitEvent(event)
          return {
            n,
            id: event.id,
            occurred_at: event.occurredAt,
            user_id: event.userId,
            mandate_id: event.mandateId,
            action: event.action,
            details,
            request_id: event.requestId,
            personal: hashes,
            persons: values,
          }
        }),
      ),
    ],
  )
}

/**
 * Erases what the audit says about a person. Returns how many values were erased. The events and the chain
 * stay. If the person is no user any more, later events keep nothing about them: events that wait in a queue
 * or on a disk are inserted without those values. Call it last in a transaction, because it blocks all
 * recording.
 */
export async function erasePersonalValues(tx: Tx, personId: string): Promise<number> {
  // The lock waits for inserts that are running, so that their values can be erased. Later inserts see that
  // nothing may be kept.
  await tx.run('lock table audit_personal in share row exclusive mode')
  await tx.run(
    `insert into audit_erased (person_id)
     select ?::uuid
      where not exists (select from users where id = ?::uuid)
         on conflict do nothing`,
    [personId, personId],
  )
  return await tx.run('delete from audit_personal where person_id = ?', [personId])
}
