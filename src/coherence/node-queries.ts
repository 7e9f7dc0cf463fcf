import type { Pool, Sql } from '../database/connect.js'
import { listNodes, prune } from './lease-queries.js'

/** A node's row: what it has acknowledged, and how long its lease is. */
export interface NodeRow {
  id: string
  leaseMs: number
  /** A `pg_snapshot`, as text. */
  acked: string
}

/** All nodes, as they are now, and which database says so. */
export async function listNodeRows(pool: Pick<Pool, 'once'>): Promise<{ identity: string; rows: NodeRow[] }> {
  const ended = await pool.once(listNodes)
  if ('refusal' in ended) throw ended.refusal
  return { identity: ended.identity, rows: ended.result.rows as NodeRow[] }
}

/** All nodes, with the number of the renewal that was executed last. */
export async function listNodeSeqs(sql: Sql): Promise<{ id: string; seq: string; leaseMs: number }[]> {
  return await sql.rows('select id, seq::text as seq, lease_ms as "leaseMs" from coherence.nodes')
}

/** Takes a node off the list, if it has not renewed since. */
export async function deleteSilentNode(sql: Sql, id: string, seq: string): Promise<void> {
  await sql.run('delete from coherence.nodes where id = ? and seq = ?', [id, seq])
}

/**
 * Takes a node off the list, if it still has not acknowledged the transaction: it finds its row gone and
 * forgets everything. Answers whether it was there.
 */
export async function fenceNode(sql: Sql, id: string, xid: string): Promise<boolean> {
  return (
    (await sql.run(
      'delete from coherence.nodes where id = ? and not pg_visible_in_snapshot(?::xid8, acked)',
      [id, xid],
    )) > 0
  )
}

/** Forgets the changes that every node has applied. */
export async function pruneChanges(sql: Sql): Promise<void> {
  await sql.run(prune)
}

/**
 * Adds a change row of the writer's own, as also a transaction that changed nothing is waited for. Answers
 * its id, and which database it is in.
 */
export async function insertChange(tx: Sql): Promise<{ xid: string; identity: string }> {
  const [row] = await tx.rows<{ xid: string; identity: string }>(
    `insert into coherence.changes (key) values ('') returning xid::text as xid, coherence.identity() as identity`,
  )
  if (!row) throw new Error('an insert answered no row')
  return row
}

/** Tells all nodes to renew now. */
export async function hintNodes(sql: Sql): Promise<void> {
  await sql.rows(`select pg_notify('coherence', '')`)
}
