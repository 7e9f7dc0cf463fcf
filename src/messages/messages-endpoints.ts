import { z } from 'zod'
import type { Sql } from '../database/connect.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import { platformAdmins } from '../http/endpoint/policy.js'
import { messageKinds, messageStates } from './message.js'
import { listMessages } from './message-queries.js'

const message = z
  .strictObject({
    id: z.uuid(),
    kind: z.enum(messageKinds),
    to: z.string(),
    mandateId: z.uuid().nullable(),
    status: z.enum(messageStates),
    attempts: z.int(),
    lastError: z.string().nullable(),
    sentAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Message', description: 'a message to a person; its text and its link are not shown' })

const messageQuery = z.strictObject({
  ...pageFields,
  status: z.enum(messageStates).optional(),
  kind: z.enum(messageKinds).optional(),
  to: z.string().min(1).max(320).optional(),
})

/** `/admin/messages`: what was sent to whom, and what could not be. */
export function messageEndpoints({ sql }: { sql: Sql }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/admin/messages',
      summary: 'List the messages to people, newest first, with how each of them fared',
      access: platformAdmins,
      query: messageQuery,
      answers: { 200: pageOf(message) },
      handle: async ({ query: { status, kind, to, limit, cursor } }) => ({
        status: 200,
        body: positionedPage(
          await listMessages(
            sql,
            { status, kind, to },
            { after: decodePosition(cursor, 2), atMost: limit + 1 },
          ),
          limit,
        ),
      }),
    }),
  ]
}
