import { z } from 'zod'
import type { Lease } from '../coherence/lease.js'
import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { createProbe } from './probe.js'

const alive = z.strictObject({ status: z.literal('ok') })
const ready = z.strictObject({ status: z.literal('ready') })

interface Dependencies {
  sql: Sql
  lease: Pick<Lease, 'holds'>
  /** 0: there is no lease, each request asks the database. */
  leaseMs: number
  isDraining: () => boolean
}

/** What whoever runs the gateway asks it: does it live, and may it be sent requests. */
export function operationsEndpoints({ sql, lease, leaseMs, isDraining }: Dependencies): Endpoint[] {
  const reachesDatabase = createProbe({ sql, freshMs: leaseMs, now: () => performance.now() })
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
      summary:
        'Whether requests may be sent here: the node holds a lease, the database answers by the ' +
        'way that requests take, and the node is not about to end',
      access: anyone,
      answers: { 200: ready },
      handle: async () => {
        if (isDraining()) throw new GatewayError('overloaded', 'This node is about to end')
        if (leaseMs > 0 && !lease.holds())
          throw new GatewayError(
            'directory_unavailable',
            'This node has not heard from the database for longer than its lease',
          )
        await reachesDatabase()
        return { status: 200, body: { status: 'ready' } }
      },
    }),
  ]
}
