import type { Request } from 'express'
import { z } from 'zod'
import type { Database, Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { platformAdmins, sysAdmins } from '../http/endpoint/policy.js'
import { erasePersonalValues } from './audit-queries.js'
import { countUnsealed, findLastCheckpoint, findLastSeal } from './chain-queries.js'
import { checkpointSchema, type CheckpointKeys } from './checkpoint.js'
import { actorOf, recordChange } from './record-change.js'
import { verifyChain } from './verify-chain.js'

/** How many of the last links the endpoint verifies. `mandate-gateway audit verify` verifies all. */
const looksBack = 500

const chainState = z
  .strictObject({
    sealed: z.int().meta({ description: 'events in the chain' }),
    pending: z.int().meta({ description: 'events that are not sealed yet' }),
    oldestPending: z.iso.datetime().nullable(),
    lastCheckpoint: checkpointSchema.nullable(),
    verifiedAt: z.iso.datetime().meta({ description: 'now: the last links have been looked at' }),
    verifiedFrom: z.int().meta({ description: 'the first link that was looked at' }),
    intact: z.boolean(),
    faults: z.array(z.string()),
  })
  .meta({ id: 'AuditChain' })

interface Dependencies {
  database: Database
  keys: () => CheckpointKeys
  /**
   * Begins a change that only a SysAdmin may make. It reads the user's level again. Throws
   * `sysadmin_required`.
   */
  beginAsSysAdmin: (tx: Tx, req: Request) => Promise<void>
}

/**
 * Endpoints for the state of the audit's chain, and for erasing persons. `keys` is called for each request.
 */
export function auditChainEndpoints({ database, keys, beginAsSysAdmin }: Dependencies): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/admin/audit/chain',
      summary: 'How far the audit is sealed, and whether its last links are as they were signed',
      access: platformAdmins,
      answers: { 200: chainState },
      handle: async () => {
        const [last, checkpoint, { count, oldest }] = [
          await findLastSeal(database),
          await findLastCheckpoint(database),
          await countUnsealed(database),
        ]
        const after = Math.max(0, (last?.position ?? 0) - looksBack)
        const found = await verifyChain({ sql: database, keys: keys(), after, whole: false })
        return {
          status: 200,
          body: {
            sealed: last?.position ?? 0,
            pending: count,
            oldestPending: oldest,
            lastCheckpoint: checkpoint ?? null,
            verifiedAt: new Date(),
            verifiedFrom: after + 1,
            intact: found.faults.length === 0,
            faults: found.faults.map(({ message }) => message),
          },
        }
      },
    }),
    endpoint({
      method: 'delete',
      path: '/system/audit/persons/:id',
      unversioned: true,
      summary:
        'Erase what the audit says about a person: names, addresses, email. The events stay, and ' +
        'the chain still holds. Not about oneself',
      access: sysAdmins,
      answers: { 200: z.strictObject({ erased: z.int() }) },
      handle: async (call) => {
        const id = idOf(call)
        if (call.req.state.principal?.user.id === id)
          throw new GatewayError(
            'conflict',
            'Nobody erases what the audit says about themselves. Another SysAdmin must do it.',
          )
        const erased = await database.transaction(async (tx) => {
          await beginAsSysAdmin(tx, call.req)
          const count = await erasePersonalValues(tx, id)
          await recordChange(tx, {
            actor: actorOf(call.req),
            mandateId: 'system',
            action: 'audit_person_erased',
            subject: `user:${id}`,
            after: { values: count },
          })
          return count
        })
        return { status: 200, body: { erased } }
      },
    }),
  ]
}
