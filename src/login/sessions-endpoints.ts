import { z } from 'zod'
import { authorities } from '../domain/authorities.js'
import { actorOf, recordChange } from '../audit/record-change.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Config } from '../config.js'
import type { Sql } from '../database/connect.js'
import type { CookieConfig } from '../http/cookies.js'
import { GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodeCursor, pageFrom, pageOf, pageQuery } from '../http/endpoint/page.js'
import { signedIn } from '../http/endpoint/policy.js'
import {
  endSessions,
  endSessionsOfUser,
  findSessionOfUser,
  withdrawLinksOf,
} from '../authentication/end-queries.js'
import { clearLoginCookies } from './login-cookies.js'
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
const position = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [0-9a-f-]{36}$/
const ended = z.strictObject({ coherence: coherenceSchema })

/** The caller's own sessions: what is signed in where, and ending it. */
export function sessionEndpoints({ config, sql, commitAndAwaitNodes }: Dependencies): Endpoint[] {
  const list = endpoint({
    method: 'get',
    path: '/auth/sessions',
    summary: 'List my sessions that are signed in, newest first',
    access: signedIn,
    query: pageQuery,
    answers: { 200: pageOf(session) },
    handle: async ({ req, query: { limit, cursor } }) => {
      const { user, sessionId } = req.state.requirePrincipal()
      const sessions = await listLiveSessions(sql, user.id, {
        after: decodeCursor(cursor, position),
        atMost: limit + 1,
        sessionDays: config.SESSION_MAX_AGE,
      })
      const page = pageFrom(sessions, limit, ({ position }) => position)
      return {
        status: 200,
        body: {
          ...page,
          items: page.items.map(({ position: _position, ...one }) => ({
            ...one,
            current: one.id === sessionId,
          })),
        },
      }
    },
  })

  const end = endpoint({
    method: 'delete',
    path: '/auth/sessions/:id',
    unversioned: true,
    summary: 'End one of my sessions; when this answers, no node accepts its tokens any more',
    access: signedIn,
    answers: { 200: ended },
    handle: async (call) => {
      const id = idOf(call)
      const { user, sessionId } = call.req.state.requirePrincipal()
      const { coherence } = await commitAndAwaitNodes(async (tx) => {
        if (!(await findSessionOfUser(tx, id, user.id)))
          throw new GatewayError('not_found', 'You have no session with this id')
        await endSessions(tx, [id])
        await recordChange(tx, {
          actor: actorOf(call.req),
          mandateId: 'system',
          action: 'session_ended',
          subject: `session:${id}`,
          after: { by: 'user' },
        })
      })
      if (id === sessionId) clearLoginCookies(call.res, config)
      return { status: 200, body: { coherence } }
    },
  })

  const logoutAll = endpoint({
    method: 'post',
    path: '/auth/logout-all',
    summary:
      'End all my sessions, on all devices, and clear the cookies; when this answers, no node accepts their tokens any more',
    access: signedIn,
    answers: { 200: ended },
    handle: async ({ req, res }) => {
      const { user } = req.state.requirePrincipal()
      const { coherence } = await commitAndAwaitNodes(async (tx) => {
        const sessions = await endSessionsOfUser(tx, user.id)
        await withdrawLinksOf(tx, user.id)
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId: 'system',
          action: 'sessions_ended',
          subject: `user:${user.id}`,
          after: { by: 'user', sessions: sessions.length },
        })
      })
      clearLoginCookies(res, config)
      return { status: 200, body: { coherence } }
    },
  })

  return [list, end, logoutAll]
}
