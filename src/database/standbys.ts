import type { Sql } from './connect.js'

/**
 * Counts the standbys that stream from this server while no commit waits for any of them. Logical replication
 * is not counted. Ordinary logins cannot see their names and states, but can see their number.
 */
const countAsynchronous = `
  select case when current_setting('synchronous_standby_names') <> '' then 0
              else greatest(
                     0,
                     (select count(*) from pg_stat_replication)
                       - (select count(*) from pg_replication_slots where slot_type = 'logical' and active)
                   )::int
         end as count`

/** Returns the number of asynchronous standbys: 0 when commits wait for one, or when there is none. */
export async function countAsynchronousStandbys(sql: Pick<Sql, 'rows'>): Promise<number> {
  const [row] = await sql.rows<{ count: number }>(countAsynchronous)
  return row?.count ?? 0
}

/** What an asynchronous standby costs, for operators. */
export const asynchronousStandby = {
  says:
    'a standby is asynchronous: a failover to it can lose revocations that were answered, ' +
    'and an old primary that lives on can let in what the new one has revoked',
  todo:
    'Set synchronous_standby_names, so that each commit waits for every standby that may be promoted ' +
    '(docs/coherence.md, "Two primaries").',
}
