import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { authorities } from '../domain/authorities.js'
import type { Sql } from '../database/connect.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import type { Changing } from './change-login.js'
import { endLoginEndpoint, loginFilters } from './login-change-endpoints.js'
import { findTokenOwner, listTokens } from './token-queries.js'
import { endToken } from './tokens.js'

const token = z
  .strictObject({
    id: z.uuid().meta({ description: "the token's claim `jti`" }),
    userId: z.uuid(),
    username: z.string(),
    authority: z.enum(authorities),
    purpose: z.enum(['auth_session', 'api_token', 'data_connection']),
    sessionId: z.uuid().nullable(),
    status: z.enum(['active', 'revoked']),
    expired: z.boolean(),
    issuedAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().nullable().meta({ description: 'null: never' }),
    revokedAt: z.iso.datetime().nullable(),
    label: z.string().nullable(),
  })
  .meta({ id: 'TokenRow' })

const query = z.strictObject({
  ...pageFields,
  ...loginFilters('token'),
  session: z.uuid(fieldError('id_of_session')).optional(),
  status: z
    .enum(['active', 'revoked', 'expired'], 'must be active, revoked or expired')
    .optional()
    .meta({ description: '`active` leaves out what has expired' }),
  purpose: z
    .enum(
      ['auth_session', 'api_token', 'data_connection'],
      'must be auth_session, api_token or data_connection',
    )
    .optional(),
})

/** The rows of issued tokens, as SysAdmins govern them. */
export function tokenRowEndpoints({ sql, ...changing }: Changing & { sql: Sql }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/tokens',
      summary: 'List issued tokens, newest first; by user, session, status or purpose, or searched',
      access: sysAdmins,
      query,
      answers: { 200: pageOf(token) },
      handle: async ({ query: { limit, cursor, ...filter } }) => {
        const rows = await listTokens(sql, filter, { after: decodePosition(cursor, 2), atMost: limit + 1 })
        return { status: 200, body: positionedPage(rows, limit) }
      },
    }),
    endLoginEndpoint(changing, {
      kind: 'token',
      summary: 'Revoke a token; when this answers, no node accepts it any more',
      ownerOf: findTokenOwner,
      end: endToken,
    }),
  ]
}
