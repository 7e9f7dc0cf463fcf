import { reason } from '../domain/reasons.js'
import { z } from 'zod'
import { actorOf, recordChange, type Actor } from '../audit/record-change.js'
import { endWaysIn } from '../authentication/end-queries.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { answerDeleted, changeQuery, deletedAnswers } from '../directory/changes.js'
import { isLastOfLevel, lockEnabledAdmins } from '../directory/user-queries.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { changeLogins, type Changing } from './change-login.js'
import { findUserToPromote, listSysAdmins, setSysAdmin } from './admin-queries.js'

const sysAdmin = z
  .strictObject({ id: z.uuid(), username: z.string(), fullName: z.string().nullable(), enabled: z.boolean() })
  .meta({ id: 'SysAdmin' })

/**
 * Makes a user, named by id or username, a SysAdmin, or one like others, but not the last one. Doing so again
 * changes nothing, and is waited for all the same.
 */
export async function changeSysAdmin(
  tx: CoherentTx,
  { named, isSysAdmin, actor }: { named: string; isSysAdmin: boolean; actor: Actor },
): Promise<void> {
  const admins = await lockEnabledAdmins(tx) // first, as everybody does who locks several users
  const user = await findUserToPromote(tx, named)
  if (!user) throw new GatewayError('not_found', reason('user_unknown'))
  const { id } = user
  if (!isSysAdmin && user.isSysAdmin && isLastOfLevel(admins, id, 'isSysAdmin')) {
    throw new GatewayError('conflict', reason('last_admin', { username: user.username, level: 'SysAdmin' }))
  }
  await setSysAdmin(tx, id, isSysAdmin)
  if (user.isSysAdmin === isSysAdmin) return
  if (isSysAdmin) await endWaysIn(tx, id)
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: isSysAdmin ? 'sysadmin_granted' : 'sysadmin_revoked',
    subject: `user:${id}`,
    before: { isSysAdmin: user.isSysAdmin },
    after: { isSysAdmin },
  })
}

/** Who is a SysAdmin: decided by SysAdmins alone. */
export function adminEndpoints({ sql, ...changing }: Changing & { sql: Sql }): Endpoint[] {
  const become =
    (isSysAdmin: boolean) =>
    async ({
      req,
      params,
      query: { dryRun },
    }: Pick<Call<unknown, { dryRun: boolean }>, 'req' | 'params' | 'query'>) => {
      const named = params.userId ?? ''
      return answerDeleted(
        await changeLogins(changing, {
          dryRun,
          ownerOf: async (tx) => (await findUserToPromote(tx, named))?.id,
          change: async (tx) => {
            await beginAsAdmin(tx, req.state.principal?.user, 'sysAdmin')
            await changeSysAdmin(tx, { named, isSysAdmin, actor: actorOf(req) })
          },
        }),
      )
    }
  return [
    endpoint({
      method: 'get',
      path: '/system/admins',
      summary: 'List the SysAdmins',
      access: sysAdmins,
      answers: { 200: z.strictObject({ items: z.array(sysAdmin), nextCursor: z.null() }) },
      handle: async () => ({ status: 200, body: { items: await listSysAdmins(sql), nextCursor: null } }),
    }),
    endpoint({
      method: 'put',
      path: '/system/admins/:userId',
      unversioned: true,
      summary:
        'Make a user a SysAdmin, by id or username; ends all they are let in by but their password. One who is already stays as they are',
      access: sysAdmins,
      query: changeQuery,
      answers: deletedAnswers,
      handle: become(true),
    }),
    endpoint({
      method: 'delete',
      path: '/system/admins/:userId',
      unversioned: true,
      summary:
        'Make a SysAdmin a user like others, but not the last one; when this answers, no node takes them for one any more',
      access: sysAdmins,
      query: changeQuery,
      answers: deletedAnswers,
      handle: become(false),
    }),
  ]
}
