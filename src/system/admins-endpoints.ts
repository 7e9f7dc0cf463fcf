import { z } from 'zod'
import type { Sql } from '../database/connect.js'
import { changeQuery, deletedAnswers } from '../directory/change-endpoints.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { findUserToPromote, listSysAdmins } from './admin-queries.js'
import { changeSysAdmin } from './admins.js'
import type { Changing } from './change-login.js'
import { answerLoginChange } from './login-change-endpoints.js'

const sysAdmin = z
  .strictObject({ id: z.uuid(), username: z.string(), fullName: z.string().nullable(), enabled: z.boolean() })
  .meta({ id: 'SysAdmin' })

/** Returns an endpoint that makes a user a SysAdmin, or takes the level away. */
const levelEndpoint = (
  changing: Changing,
  { isSysAdmin, summary }: { isSysAdmin: boolean; summary: string },
) =>
  endpoint({
    method: isSysAdmin ? 'put' : 'delete',
    path: '/system/admins/:userId',
    unversioned: true,
    summary,
    access: sysAdmins,
    query: changeQuery,
    answers: deletedAnswers,
    handle: (call) => {
      const named = call.params.userId ?? ''
      return answerLoginChange(
        changing,
        call,
        async (tx) => (await findUserToPromote(tx, named))?.id,
        (tx, actor) => changeSysAdmin(tx, { named, isSysAdmin, actor }),
      )
    },
  })

/** The list of SysAdmins, which SysAdmins alone change. */
export function adminEndpoints({ sql, ...changing }: Changing & { sql: Sql }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/admins',
      summary: 'List the SysAdmins',
      access: sysAdmins,
      answers: { 200: z.strictObject({ items: z.array(sysAdmin), nextCursor: z.null() }) },
      handle: async () => ({ status: 200, body: { items: await listSysAdmins(sql), nextCursor: null } }),
    }),
    levelEndpoint(changing, {
      isSysAdmin: true,
      summary:
        'Make a user a SysAdmin, by id or username; ends all they are let in by but their password. ' +
        'One who is already stays as they are',
    }),
    levelEndpoint(changing, {
      isSysAdmin: false,
      summary:
        'Make a SysAdmin a user like others, but not the last one; ' +
        'when this answers, no node takes them for one any more',
    }),
  ]
}
