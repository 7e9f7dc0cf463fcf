import type { Pool, Sql } from '../database/connect.js'
import { nodesWithAcknowledgements, prune } from './lease-queries.js'

/** A node's row: the snapshot that it has acknowledged, and the length of its lease. */
export interface NodeRow {
  id: string
  leaseMs: number
  /** A `pg_snapshot`, as text. */
  acked: string
}

/** Lists all nodes, and returns which database answered. */
export async function listNodeRows(pool: Pick<Pool, 'once'>): Promise<{ identity: string; rows: NodeRow[] }> {
  const ended = await pool.once(nodesWithAcknowledgements)
  if ('refusal' in ended) throw ended.refusal
  return { identity: ended.identity, rows: ended.result.rows as NodeRow[] }
}

/** Lists all nodes, each with the number of its last executed renewal. */
export async function listNodeSeqs(sql: Sql): Promise<{ id: string; seq: string; leaseMs: number }[]> {
  return await sql.rows('select id, seq::text as seq, lease_ms as "leaseMs" from coherence.nodes')
}

/** Deletes a node's row, if it has not renewed since. */
export async function deleteSilentNode(sql: Sql, id: string, seq: string): Promise<void> {
  await sql.run('delete from coherence.nodes where id = ? and seq = ?', [id, seq])
}

/**
 * Deletes a node's row, if the node has still not acknowledged the transaction. Such a node finds its row
 * gone and drops its memory. Returns whether a row was deleted.
 */
export async function fenceNode(sql: Sql, id: string, xid: string): Promise<boolean> {
  return (
    (await sql.run(
      'delete from coherence.nodes where id = ? and not pg_visible_in_snapshot(?::xid8, acked)',
      [id, xid],
    )) > 0
  )
}

/** Deletes the changes that every node has applied. */
export async function pruneChanges(sql: Sql): Promise<void> {
  await sql.run(prune)
}

/**
 * Inserts a change row for the writer itself, because a transaction that changed nothing is waited for, too.
 * Returns its transaction id, and the identity of its database.
 */
export async function insertChange(tx: Sql): Promise<{ xid: string; identity: string }> {
  const [row] = await tx.rows<{ xid: string; identity: string }>(
    `insert into coherence.changes (key) values ('') returning xid::text as xid, coherence.identity() as identity`,
  )
  if (!row) throw new Error('an insert answered no row')
  return row
}

/** Asks all nodes to renew now. */
export async function hintNodes(sql: Sql): Promise<void> {
  await sql.rows(`select pg_notify('coherence', '')`)
}
