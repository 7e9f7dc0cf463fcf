import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { authorities } from '../domain/authorities.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import { actorOf, recordChange } from '../audit/record-change.js'
import { endSessions } from '../authentication/end-queries.js'
import type { Sql } from '../database/connect.js'
import { answerDeleted, changeQuery, deletedAnswers } from '../directory/changes.js'
import { GatewayError } from '../errors.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { changeLogins, type Changing } from './change-login.js'
import { findSessionOwner, listSessions } from './token-queries.js'

const session = z
  .strictObject({
    id: z.uuid(),
    userId: z.uuid(),
    username: z.string(),
    authority: z.enum(authorities),
    createdAt: z.iso.datetime(),
    lastSeenAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
    address: z.string().nullable(),
    userAgent: z.string().nullable(),
  })
  .meta({ id: 'SessionRow' })

const query = z.strictObject({
  ...pageFields,
  q: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .regex(/^[^\0]*$/, fieldError('nul'))
    .optional()
    .meta({
      description: "the beginning of the user's name, address or a word of their name; or the session's id",
    }),
  user: z.string().min(1).max(256).optional().meta({ description: 'the id or the exact username' }),
  status: z.enum(['active', 'ended'], 'must be active or ended').optional(),
})

/** All sessions, as SysAdmins see and end them. */
export function sessionRowEndpoints({ sql, ...changing }: Changing & { sql: Sql }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/sessions',
      summary: 'List sessions, newest first; by user or status, or searched',
      access: sysAdmins,
      query,
      answers: { 200: pageOf(session) },
      handle: async ({ query: { limit, cursor, ...filter } }) => {
        const rows = await listSessions(sql, filter, { after: decodePosition(cursor, 2), atMost: limit + 1 })
        return { status: 200, body: positionedPage(rows, limit) }
      },
    }),
    endpoint({
      method: 'delete',
      path: '/system/sessions/:id',
      unversioned: true,
      summary: 'End a session with all its tokens; when this answers, no node accepts them any more',
      access: sysAdmins,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) => {
        const id = idOf(call)
        return answerDeleted(
          await changeLogins(changing, {
            dryRun: call.query.dryRun,
            ownerOf: (tx) => findSessionOwner(tx, id),
            change: async (tx) => {
              await beginAsAdmin(tx, call.req.state.principal?.user, 'sysAdmin')
              const userId = await findSessionOwner(tx, id)
              if (userId === undefined)
                throw new GatewayError('not_found', 'There is no session with this id')
              await endSessions(tx, [id])
              await recordChange(tx, {
                actor: actorOf(call.req),
                mandateId: 'system',
                action: 'session_ended',
                subject: `session:${id}`,
                before: { userId },
              })
            },
          }),
        )
      },
    }),
  ]
}
