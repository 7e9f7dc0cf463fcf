import type { Sql } from '../database/connect.js'

/** A gateway node, as SysAdmins see one. */
export interface ListedNode {
  id: string
  address: string | null
  processId: number | null
  leaseMs: number
  startedAt: Date
  renewedAt: Date
  /** Changes that the node has not acknowledged yet. */
  lag: number
}

/** The nodes that share this database, oldest first. */
export async function listNodes(sql: Sql): Promise<ListedNode[]> {
  return await sql.rows<ListedNode>(`
    select n.id,
           n.address,
           n.process_id as "processId",
           n.lease_ms as "leaseMs",
           n.started_at as "startedAt",
           n.renewed_at as "renewedAt",
           (select count(*)::int from coherence.changes c where not pg_visible_in_snapshot(c.xid, n.acked)) as lag
      from coherence.nodes n
     order by n.started_at, n.id`)
}
