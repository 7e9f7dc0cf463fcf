import { z } from 'zod'
import type { Sql } from '../database/connect.js'
import { endpoint, type Endpoint } from '../http/endpoint.js'
import { decodeCursor, pageFrom, pageOf, pageQuery } from '../http/page.js'
import { platformAdmins } from '../http/policy.js'
import { listUsers } from './user-queries.js'

const listedUser = z.strictObject({
  id: z.uuid(),
  username: z.string(),
  email: z.string().nullable(),
  fullName: z.string().nullable(),
  enabled: z.boolean(),
  isSysAdmin: z.boolean(),
  isPlatformAdmin: z.boolean(),
}).meta({ id: 'ListedUser' })

/** Users, as platform admins govern them. */
export function userEndpoints({ sql }: { sql: Sql }): Endpoint[] {
  return [endpoint({
    method: 'get',
    path: '/admin/users',
    summary: 'List users by username',
    access: platformAdmins,
    query: pageQuery,
    answers: { 200: pageOf(listedUser) },
    handle: async ({ query: { limit, cursor } }) => {
      const after = decodeCursor(cursor)
      const users = await listUsers(sql, { after, atMost: limit + 1 })
      return { status: 200, body: pageFrom(users, limit, (user) => user.username) }
    },
  })]
}
