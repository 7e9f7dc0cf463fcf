import type { Sql } from '../database/connect.js'

/** How long a node may be silent before it counts as gone, in seconds. */
const goneAfterSeconds = 30

interface NodeRow {
  id: string
  address: string
  processId: number
  startedAt: Date
  seenAt: Date
}

/** The nodes that were heard of lately, oldest first. */
export async function listNodes(sql: Sql): Promise<NodeRow[]> {
  return await sql.rows<NodeRow>(`
    select id, address, process_id as "processId", started_at as "startedAt", seen_at as "seenAt"
      from nodes
     where seen_at > now() - make_interval(secs => ?)
     order by started_at, id`, [goneAfterSeconds])
}

interface Node {
  id: string
  address: string
  processId: number
}

/** Says that this node lives, and forgets those that have been silent for long. */
export async function upsertNode(sql: Sql, { id, address, processId }: Node): Promise<void> {
  await sql.run(`
    with gone as (delete from nodes where seen_at < now() - make_interval(secs => ?) and id <> ?)
    insert into nodes (id, address, process_id) values (?, ?, ?)
    on conflict (id) do update set seen_at = now()`, [goneAfterSeconds, id, id, address, processId])
}

/** Takes this node off the list. */
export async function deleteNode(sql: Sql, id: string): Promise<void> {
  await sql.run('delete from nodes where id = ?', [id])
}
