import { z } from 'zod'
import type { Sql } from '../database/connect.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { listNodes } from './node-queries.js'

const node = z
  .strictObject({
    id: z.uuid(),
    address: z.string().nullable(),
    processId: z.int().nullable(),
    leaseMs: z
      .int()
      .meta({ description: 'how long it may answer from memory without hearing from the database' }),
    startedAt: z.iso.datetime(),
    renewedAt: z.iso.datetime(),
    lag: z.int().meta({ description: 'changes that it has not acknowledged yet' }),
    current: z.boolean().meta({ description: 'whether it is the node that answers' }),
  })
  .meta({ id: 'GatewayNode' })

/** The gateway nodes that share this database. `currentId` is this one's. */
export function nodeEndpoints({
  sql,
  currentId,
}: {
  sql: Sql
  currentId: () => string | undefined
}): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/nodes',
      summary: 'List the gateway nodes that run on this database, with their leases',
      access: sysAdmins,
      answers: { 200: z.strictObject({ items: z.array(node), nextCursor: z.null() }) },
      handle: async () => {
        const nodes = await listNodes(sql)
        return {
          status: 200,
          body: {
            items: nodes.map((one) => ({ ...one, current: one.id === currentId() })),
            nextCursor: null,
          },
        }
      },
    }),
  ]
}
