import { z } from 'zod'
import type { Sql } from '../database/connect.js'
import { endpoint, type Endpoint } from '../http/endpoint.js'
import { sysAdmins } from '../http/policy.js'
import { listNodes } from './node-queries.js'

const node = z.strictObject({
  id: z.uuid(),
  address: z.string(),
  processId: z.number().int(),
  startedAt: z.iso.datetime(),
  seenAt: z.iso.datetime(),
}).meta({ id: 'GatewayNode' })

/** The gateway nodes that share this database. */
export function nodeEndpoints({ sql }: { sql: Sql }): Endpoint[] {
  return [endpoint({
    method: 'get',
    path: '/system/nodes',
    summary: 'List the gateway nodes that run on this database',
    access: sysAdmins,
    answers: { 200: z.strictObject({ items: z.array(node), nextCursor: z.null() }) },
    handle: async () => ({ status: 200, body: { items: await listNodes(sql), nextCursor: null } }),
  })]
}
