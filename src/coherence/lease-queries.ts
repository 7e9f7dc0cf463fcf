/**
 * The statements of the lease, as plain SQL. A function around them would take one snapshot per statement.
 * `$n` are pg's parameters.
 */

/** $1 id, $2 lease in ms, $3 address, $4 process id. The row's first acknowledgement is its own snapshot. */
export const register = `
insert into coherence.nodes (id, lease_ms, address, process_id) values ($1, $2, $3, $4)
returning acked::text as seen, coherence.identity() as identity`

/**
 * $1 id, $2 the snapshot that was applied, $3 the number of this renewal. One statement takes one snapshot:
 * it acknowledges $2 and returns what has changed since. The transactions that $2 did not see are exactly
 * those at or above its xmax, and those that it lists as running.
 */
export const renew = `
with me as (
  update coherence.nodes
     set acked = $2::pg_snapshot, seq = $3, renewed_at = now()
   where id = $1 and seq < $3
  returning 1
), new as (
  select key from coherence.changes where xid >= pg_snapshot_xmax($2::pg_snapshot)
  union all
  select key from coherence.changes where xid = any (array(select pg_snapshot_xip($2::pg_snapshot)))
)
select exists (select from me) as alive,
       pg_current_snapshot()::text as seen,
       coalesce((select pruned > pg_snapshot_xmin($2::pg_snapshot) from coherence.horizon), true) as flush,
       array(select distinct key from new) as keys,
       coherence.identity() as identity`

/** Deletes changes that every node has applied, and records up to where, in one statement. */
export const prune = `
with oldest as (
  select coalesce(min(pg_snapshot_xmin(acked)), pg_snapshot_xmin(pg_current_snapshot())) as xid
    from coherence.nodes
), risen as (
  update coherence.horizon set pruned = oldest.xid from oldest where pruned < oldest.xid returning 1
)
delete from coherence.changes using oldest where changes.xid < oldest.xid`

/** $1 id. */
export const leave = `delete from coherence.nodes where id = $1`

/** One row for each node, with the snapshot that it has acknowledged. */
export const nodesWithAcknowledgements = `select id, lease_ms as "leaseMs", acked::text as acked from coherence.nodes`
