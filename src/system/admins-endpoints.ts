import { z } from 'zod'
import type { Sql } from '../database/connect.js'
import { changeQuery, deletedAnswers } from '../directory/change-endpoints.js'
import { resetFactors } from '../directory/factor-resets.js'
import { notFound } from '../errors.js'
import { languageOf } from '../http/pages/html.js'
import type { Outbox } from '../messages/outbox.js'
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

/** Returns the endpoint by which a SysAdmin helps another who has lost their second factors. */
const factorsEndpoint = (changing: Changing, outbox: Outbox) =>
  endpoint({
    method: 'delete',
    path: '/system/admins/:userId/factors',
    unversioned: true,
    summary: 'Remove all second factors and recovery codes of another SysAdmin, and end their sessions',
    access: sysAdmins,
    query: changeQuery,
    answers: deletedAnswers,
    handle: (call) => {
      const named = call.params.userId ?? ''
      return answerLoginChange(
        changing,
        call,
        async (tx) => (await findUserToPromote(tx, named))?.id,
        async (tx, actor) => {
          const user = await findUserToPromote(tx, named)
          if (!user?.isSysAdmin) throw notFound()
          await resetFactors(outbox, tx, { userId: user.id, actor, language: languageOf(call.req) })
        },
      )
    },
  })

/** The list of SysAdmins, which SysAdmins alone change. */
export function adminEndpoints({
  sql,
  outbox,
  ...changing
}: Changing & { sql: Sql; outbox: Outbox }): Endpoint[] {
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
    factorsEndpoint(changing, outbox),
  ]
}
