import { z } from 'zod'
import { authorities } from '../domain/authorities.js'
import { actorOf } from '../audit/record-change.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Config } from '../config.js'
import type { Sql } from '../database/connect.js'
import type { CookieConfig } from '../http/cookies.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodeCursor, pageFrom, pageOf, pageQuery } from '../http/endpoint/page.js'
import { signedIn } from '../http/endpoint/policy.js'
import { clearLoginCookies } from './login-cookies.js'
import { endAllOwnSessions, endOwnSession } from './own-sessions.js'
import { listLiveSessions } from './session-list-queries.js'

interface Dependencies {
  config: CookieConfig & Pick<Config, 'SESSION_MAX_AGE'>
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
}

const session = z
  .strictObject({
    id: z.uuid(),
    authority: z.enum(authorities),
    current: z.boolean().meta({ description: 'whether it is the one that asks' }),
    createdAt: z.iso.datetime(),
    lastSeenAt: z.iso.datetime().meta({ description: 'when it was last given tokens' }),
    address: z.string().nullable(),
    userAgent: z.string().nullable(),
  })
  .meta({ id: 'Session' })
const positionPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [0-9a-f-]{36}$/
const ended = z.strictObject({ coherence: coherenceSchema })

const listEndpoint = ({ config, sql }: Dependencies): Endpoint =>
  endpoint({
    method: 'get',
    path: '/auth/sessions',
    summary: 'List my sessions that are signed in, newest first',
    access: signedIn,
    query: pageQuery,
    answers: { 200: pageOf(session) },
    handle: async ({ req, query: { limit, cursor } }) => {
      const { user, sessionId } = req.state.requirePrincipal()
      const sessions = await listLiveSessions(sql, user.id, {
        after: decodeCursor(cursor, positionPattern),
        atMost: limit + 1,
        sessionDays: config.SESSION_MAX_AGE,
      })
      const page = pageFrom(sessions, limit, ({ position }) => position)
      const items = page.items.map(({ position: _position, ...one }) => ({
        ...one,
        current: one.id === sessionId,
      }))
      return { status: 200, body: { ...page, items } }
    },
  })

const endEndpoint = ({ config, commitAndAwaitNodes }: Dependencies): Endpoint =>
  endpoint({
    method: 'delete',
    path: '/auth/sessions/:id',
    unversioned: true,
    summary: 'End one of my sessions; when this answers, no node accepts its tokens any more',
    access: signedIn,
    answers: { 200: ended },
    handle: async (call) => {
      const id = idOf(call)
      const { user, sessionId } = call.req.state.requirePrincipal()
      const { coherence } = await commitAndAwaitNodes((tx) =>
        endOwnSession(tx, { id, userId: user.id, actor: actorOf(call.req) }),
      )
      if (id === sessionId) clearLoginCookies(call.res, config)
      return { status: 200, body: { coherence } }
    },
  })

const logoutAllEndpoint = ({ config, commitAndAwaitNodes }: Dependencies): Endpoint =>
  endpoint({
    method: 'post',
    path: '/auth/logout-all',
    summary:
      'End all my sessions, on all devices, and clear the cookies; when this answers, no node accepts their tokens any more',
    access: signedIn,
    answers: { 200: ended },
    handle: async ({ req, res }) => {
      const { user } = req.state.requirePrincipal()
      const { coherence } = await commitAndAwaitNodes((tx) =>
        endAllOwnSessions(tx, { userId: user.id, actor: actorOf(req) }),
      )
      clearLoginCookies(res, config)
      return { status: 200, body: { coherence } }
    },
  })

/** Returns the endpoints of the caller's own sessions: the list, and ending one or all. */
export const sessionEndpoints = (deps: Dependencies): Endpoint[] => [
  listEndpoint(deps),
  endEndpoint(deps),
  logoutAllEndpoint(deps),
]
