import { z } from 'zod'
import {
  endSessions,
  endSessionsOfUser,
  findSessionOfUser,
  revokeLooseTokens,
  withdrawLinksOf,
} from '../authentication/end-queries.js'
import { notFound } from '../errors.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import { answerDeleted, changeQuery, deletedAnswers } from './changes.js'
import { found } from './fields.js'
import { platformScope, type Edit, type Governing } from './scope.js'
import { levelOf, refuseForeignSysAdmin } from './users-endpoints.js'
import { findUser, findUserForUpdate, listUserSessions } from './user-queries.js'

const userSession = z
  .strictObject({
    id: z.uuid(),
    authority: z.string(),
    createdAt: z.iso.datetime(),
    lastSeenAt: z.iso.datetime(),
    address: z.string().nullable(),
    userAgent: z.string().nullable(),
  })
  .meta({ id: 'UserSession' })

const sessionQuery = z.strictObject(pageFields)

/** The logins of a user, as platform admins end them. */
export function userSessionEndpoints(governing: Governing): Endpoint[] {
  const { access, see, change } = platformScope(governing)
  const begin = async ({ tx, about }: Edit, call: Parameters<typeof change>[0]) => {
    const user = found(await findUserForUpdate(tx, idOf(call)))
    refuseForeignSysAdmin(levelOf(call.req), user)
    await about({ userId: user.id })
    return user
  }
  return [
    endpoint({
      method: 'get',
      path: '/admin/users/:id/sessions',
      summary: 'List the sessions of a user that have not ended, newest first',
      access,
      query: sessionQuery,
      answers: { 200: pageOf(userSession) },
      handle: async (call) => {
        const { limit, cursor } = call.query
        const rows = await see(call, async (sql) => {
          const user = found(await findUser(sql, idOf(call)))
          return await listUserSessions(sql, user.id, { after: decodePosition(cursor, 2), atMost: limit + 1 })
        })
        return { status: 200, body: positionedPage(rows, limit) }
      },
    }),
    endpoint({
      method: 'delete',
      path: '/admin/users/:id/sessions',
      unversioned: true,
      summary:
        'Sign a user out everywhere: ends their sessions, their tokens that belong to none, and their links to a first password',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async (edit) => {
            const user = await begin(edit, call)
            const ended = await endSessionsOfUser(edit.tx, user.id)
            await revokeLooseTokens(edit.tx, user.id)
            await withdrawLinksOf(edit.tx, user.id)
            await edit.record({
              action: 'user_signed_out',
              subject: `user:${user.id}`,
              before: { sessions: ended.length },
            })
          }),
        ),
    }),
    endpoint({
      method: 'delete',
      path: '/admin/users/:id/sessions/:sessionId',
      unversioned: true,
      summary: 'End a session of a user',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async (edit) => {
            const user = await begin(edit, call)
            const sessionId = idOf(call, 'sessionId')
            const ended = (await findSessionOfUser(edit.tx, sessionId, user.id))
              ? await endSessions(edit.tx, [sessionId])
              : []
            if (ended.length === 0) throw notFound()
            await edit.record({
              action: 'session_ended',
              subject: `session:${sessionId}`,
              before: { userId: user.id },
            })
          }),
        ),
    }),
  ]
}
