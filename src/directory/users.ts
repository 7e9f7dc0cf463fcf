import { z } from 'zod'
import type { Coherent, CoherentTx } from '../coherence/coherent.js'
import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint.js'
import { decodeCursor, pageFrom, pageOf, pageQuery } from '../http/page.js'
import { platformAdmins } from '../http/policy.js'
import { endSessionsOfUser, getUserForUpdate, listUsers, lockEnabledAdmins, setUserEnabled, type ListedUser } from './user-queries.js'

const userFields = {
  id: z.uuid(),
  username: z.string(),
  email: z.string().nullable(),
  fullName: z.string().nullable(),
  enabled: z.boolean(),
  isSysAdmin: z.boolean(),
  isPlatformAdmin: z.boolean(),
}
const listedUser = z.strictObject(userFields).meta({ id: 'ListedUser' })
const userChange = z.strictObject({ enabled: z.boolean() })

/** The last one who could undo it must not be shut out. */
function refuseLastAdmin(user: ListedUser, enabledAdmins: ListedUser[]): void {
  for (const [flag, title] of [['isSysAdmin', 'SysAdmin'], ['isPlatformAdmin', 'PlatformAdmin']] as const) {
    if (user[flag] && !enabledAdmins.some((admin) => admin[flag] && admin.id !== user.id)) {
      throw new GatewayError('conflict', `${user.username} is the last ${title} who is enabled. Make another one first.`)
    }
  }
}

async function changeUser(tx: CoherentTx, id: string, { enabled }: z.infer<typeof userChange>, bySysAdmin: boolean): Promise<ListedUser> {
  const enabledAdmins = enabled ? [] : await lockEnabledAdmins(tx)
  const user = await getUserForUpdate(tx, id)
  if (!user) throw new GatewayError('not_found', 'There is no user with this id')
  if (user.isSysAdmin && !bySysAdmin) throw new GatewayError('sysadmin_required', 'Only a SysAdmin may enable or disable a SysAdmin')
  if (!enabled) {
    refuseLastAdmin(user, enabledAdmins)
    await endSessionsOfUser(tx, id)
  }
  await setUserEnabled(tx, id, enabled)
  return { ...user, enabled }
}

/** Users, as platform admins govern them. */
export function userEndpoints({ sql, coherent }: { sql: Sql; coherent: Coherent }): Endpoint[] {
  return [
    endpoint({
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
    }),
    endpoint({
      method: 'patch',
      path: '/admin/users/:id',
      summary: 'Enable or disable a user; disabling ends their sessions, and when this answers no node lets them in any more',
      access: platformAdmins,
      body: userChange,
      answers: { 200: z.strictObject({ ...userFields, coherence: coherenceSchema }) },
      handle: async (call) => {
        const id = idOf(call)
        const bySysAdmin = call.req.principal?.user.isSysAdmin === true
        const { result, coherence } = await coherent((tx) => changeUser(tx, id, call.body, bySysAdmin))
        return { status: 200, body: { ...result, coherence } }
      },
    }),
  ]
}
