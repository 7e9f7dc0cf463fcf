import { z } from 'zod'
import type { Coherent } from '../coherence/coherent.js'
import { GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint.js'
import { sysAdmins } from '../http/policy.js'
import { revokeToken } from './token-queries.js'

/** The rows of issued tokens, as SysAdmins govern them. */
export function tokenRowEndpoints({ coherent }: { coherent: Coherent }): Endpoint[] {
  return [endpoint({
    method: 'delete',
    path: '/system/tokens/:id',
    summary: 'Revoke a token; when this answers, no node accepts it any more',
    access: sysAdmins,
    answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
    handle: async (call) => {
      const { coherence } = await coherent(async (tx) => {
        if (!await revokeToken(tx, idOf(call))) throw new GatewayError('not_found', 'There is no token with this id')
      })
      return { status: 200, body: { coherence } }
    },
  })]
}
