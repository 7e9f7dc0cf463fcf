import type { Sql } from '../database/connect.js'
import type { UsageBatch } from '../observability/usage.js'

/**
 * Adds a batch to `usage_daily`, in one statement, unless the writer's row says that one of its number has
 * been added. Rows are locked in one order, so that writers do not wait for each other in a circle.
 */
export async function addUsage(sql: Sql, { writerId, number, rows }: UsageBatch): Promise<void> {
  await sql.rows(
    `
    with batch as (
      insert into usage_writers (id, last_batch) values (?::uuid, ?::bigint)
      on conflict (id) do update
         set last_batch = excluded.last_batch, written_at = now()
       where usage_writers.last_batch < excluded.last_batch
      returning id)
    insert into usage_daily (mandate_id, day, requests, denials)
    select mandate_id, day, requests, denials
      from unnest(?::uuid[], ?::date[], ?::bigint[], ?::bigint[]) as added (mandate_id, day, requests, denials)
     where exists (select from batch)
     order by mandate_id, day
    on conflict (mandate_id, day) do update
       set requests = usage_daily.requests + excluded.requests,
           denials = usage_daily.denials + excluded.denials`,
    [
      writerId,
      number,
      rows.map((row) => row.mandateId),
      rows.map((row) => row.day),
      rows.map((row) => String(row.requests)),
      rows.map((row) => String(row.denials)),
    ],
  )
}

/** Forgets a writer that has ended, and those that were killed long ago. */
export async function forgetUsageWriter(sql: Sql, writerId: string): Promise<void> {
  await sql.run(`delete from usage_writers where id = ? or written_at < now() - interval '7 days'`, [
    writerId,
  ])
}
