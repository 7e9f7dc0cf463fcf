import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { authorities } from '../domain/authorities.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import { actorOf, recordChange } from '../audit/record-change.js'
import type { Sql } from '../database/connect.js'
import { answerDeleted, changeQuery, deletedAnswers } from '../directory/changes.js'
import { GatewayError } from '../errors.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { changeLogins, type Changing } from './change-login.js'
import { findTokenOwner, listTokens, revokeToken } from './token-queries.js'

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
  q: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .regex(/^[^\0]*$/, fieldError('nul'))
    .optional()
    .meta({
      description: "the beginning of the user's name, address or a word of their name; or the token's id",
    }),
  user: z.string().min(1).max(256).optional().meta({ description: 'the id or the exact username' }),
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
    endpoint({
      method: 'delete',
      path: '/system/tokens/:id',
      unversioned: true,
      summary: 'Revoke a token; when this answers, no node accepts it any more',
      access: sysAdmins,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) => {
        const id = idOf(call)
        return answerDeleted(
          await changeLogins(changing, {
            dryRun: call.query.dryRun,
            ownerOf: (tx) => findTokenOwner(tx, id),
            change: async (tx) => {
              await beginAsAdmin(tx, call.req.state.principal?.user, 'sysAdmin')
              const userId = await revokeToken(tx, id)
              if (userId === undefined) throw new GatewayError('not_found', 'There is no token with this id')
              await recordChange(tx, {
                actor: actorOf(call.req),
                mandateId: 'system',
                action: 'token_revoked',
                subject: `token:${id}`,
                before: { userId },
              })
            },
          }),
        )
      },
    }),
  ]
}
