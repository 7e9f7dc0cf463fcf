import { z } from 'zod'
import { idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, positionedPage } from '../http/endpoint/page.js'
import { found } from './fields.js'
import { listEndpoint, removeEndpoint } from './resource-endpoints.js'
import { platformScope, type AdminScope, type Governing } from './scope.js'
import { findUser, listUserSessions } from './user-queries.js'
import { beginSignOut, endSessionOf, signOutEverywhere } from './user-sessions.js'

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

const path = '/admin/users/:id/sessions'

const listSessionsOfUser = (scope: AdminScope) =>
  listEndpoint({
    scope,
    path,
    summary: 'List the sessions of a user that have not ended, newest first',
    query: sessionQuery,
    item: userSession,
    list: async (sql, call) => {
      const { limit, cursor } = call.query
      const user = found(await findUser(sql, idOf(call)))
      return await listUserSessions(sql, user.id, { after: decodePosition(cursor, 2), atMost: limit + 1 })
    },
    page: positionedPage,
  })

const endAllSessions = (scope: AdminScope) =>
  removeEndpoint({
    scope,
    path,
    unversioned: true,
    summary:
      'Sign a user out everywhere: ends their sessions, their tokens that belong to none, and their links to a first password',
    remove: async (edit, call) => await signOutEverywhere(edit, await beginSignOut(edit, idOf(call))),
  })

const endOneSession = (scope: AdminScope) =>
  removeEndpoint({
    scope,
    path: `${path}/:sessionId`,
    unversioned: true,
    summary: 'End a session of a user',
    remove: async (edit, call) =>
      await endSessionOf(edit, await beginSignOut(edit, idOf(call)), idOf(call, 'sessionId')),
  })

/** Returns the endpoints by which platform admins end the sessions of a user. */
export function userSessionEndpoints(governing: Governing): Endpoint[] {
  const scope = platformScope(governing)
  return [listSessionsOfUser(scope), endAllSessions(scope), endOneSession(scope)]
}
