import type { Sql } from '../database/connect.js'

/** A table, as SysAdmins see it. */
export interface TableSize {
  name: string
  /** With its indexes and what is stored apart. */
  bytes: number
  /** As Postgres last estimated. */
  rows: number
}

/** The database, as SysAdmins see it. */
export interface DatabaseState {
  version: string
  bytes: number
  connections: { open: number; most: number }
  /**
   * Seconds since the oldest open transaction began that this login may see; such a one keeps changes from
   * being pruned. Null: there is none.
   */
  oldestTransactionSeconds: number | null
  /** Changes of authority that are kept, as some node may not have applied them. */
  pendingChanges: number
}

/** One look at the database this login is connected to. */
export async function readDatabaseState(sql: Sql): Promise<DatabaseState> {
  const [row] = await sql.rows<Omit<DatabaseState, 'connections'> & { open: number; most: number }>(`
    select current_setting('server_version') as version,
           pg_database_size(current_database())::float8 as bytes,
           (select count(*)::int from pg_stat_activity where datname = current_database()) as open,
           current_setting('max_connections')::int as most,
           (select max(extract(epoch from clock_timestamp() - xact_start))::float8
              from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()) as "oldestTransactionSeconds",
           (select count(*)::int from coherence.changes) as "pendingChanges"`)
  if (!row) throw new Error('a statement that always answers a row answered none')
  const { open, most, ...state } = row
  return { ...state, connections: { open, most } }
}

/** The tables of the gateway, largest first. */
export async function listTableSizes(sql: Sql): Promise<TableSize[]> {
  return await sql.rows<TableSize>(`
    select case n.nspname when 'public' then c.relname else n.nspname || '.' || c.relname end as name,
           pg_total_relation_size(c.oid)::float8 as bytes,
           coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples, 0))::float8 as rows
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname in ('public', 'coherence')
     order by 2 desc, 1`)
}
