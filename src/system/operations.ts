import { z } from 'zod'
import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Endpoint } from '../http/endpoint.js'
import { anyone } from '../http/policy.js'

const alive = z.strictObject({ status: z.literal('ok') })
const ready = z.strictObject({ status: z.literal('ready') })

/** What whoever runs the gateway asks it: does it live, and may it be sent requests. */
export function operationsEndpoints({ sql, isDraining }: { sql: Sql; isDraining: () => boolean }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/healthz',
      summary: 'Whether the process lives',
      access: anyone,
      answers: { 200: alive },
      handle: () => ({ status: 200, body: { status: 'ok' } }),
    }),
    endpoint({
      method: 'get',
      path: '/readyz',
      summary: 'Whether requests may be sent here: the database answers and the process is not about to end',
      access: anyone,
      answers: { 200: ready },
      handle: async () => {
        if (isDraining()) throw new GatewayError('overloaded', 'This node is about to end')
        await sql.rows('select id from tokens limit 0')
        return { status: 200, body: { status: 'ready' } }
      },
    }),
  ]
}
