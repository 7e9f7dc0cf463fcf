import { z } from 'zod'
import { authorities } from '../domain/authorities.js'
import type { Sql } from '../database/connect.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import type { Changing } from './change-login.js'
import { endLoginEndpoint, loginFilters } from './login-change-endpoints.js'
import { endSession } from './sessions.js'
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
  ...loginFilters('session'),
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
    endLoginEndpoint(changing, {
      kind: 'session',
      summary: 'End a session with all its tokens; when this answers, no node accepts them any more',
      ownerOf: findSessionOwner,
      end: endSession,
    }),
  ]
}
