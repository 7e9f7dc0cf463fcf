import { randomBytes, randomUUID } from 'node:crypto'
import type { TestDatabase } from './database.js'
import { tokenFor } from './demo.js'

/** A rule as SQL takes it: what is left out is `n`, or not to be seen. */
export interface RuleRow {
  context?: string
  item?: string | null
  view?: boolean
  read?: string
  create?: string
  update?: string
  delete?: string
}

/** A user of the tests' own, with a token. */
export interface Newcomer {
  id: string
  username: string
  token: string
}

/** Writes rows with plain SQL, as another tool would; each answers the new row's id. */
export function directoryOf(database: TestDatabase) {
  const insert = async (table: string, row: Record<string, unknown>): Promise<string> => {
    const id = randomUUID()
    const named = Object.entries({ id, ...row })
    await database.sql(
      `insert into ${table} (${named.map(([name]) => `"${name}"`).join(', ')})
        values (${named.map((_, index) => `$${index + 1}`).join(', ')})`,
      named.map(([, value]) => value),
    )
    return id
  }
  const assign = (table: string, owner: string) => async (ownerId: string, roleIds: string[]) => {
    for (const roleId of roleIds)
      await database.sql(`insert into ${table} (${owner}, role_id) values ($1, $2)`, [ownerId, roleId])
  }
  const assignToMembership = assign('user_mandate_roles', 'user_mandate_id')
  const assignToAccess = assign('feature_access_roles', 'feature_access_id')
  return {
    user: async (flags: { isSysAdmin?: boolean; isPlatformAdmin?: boolean } = {}): Promise<Newcomer> => {
      const username = `user-${randomBytes(6).toString('hex')}`
      const id = await insert('users', {
        username,
        is_sys_admin: flags.isSysAdmin ?? false,
        is_platform_admin: flags.isPlatformAdmin ?? false,
      })
      const { token } = await tokenFor(database, 'alice', {
        claims: { sub: username, userId: id },
        row: { userId: id },
      })
      return { id, username, token }
    },
    mandate: async ({ enabled = true } = {}) =>
      await insert('mandates', { slug: randomBytes(6).toString('hex'), label: 'Made by a test', enabled }),
    instance: async (mandateId: string, { enabled = true } = {}) =>
      await insert('feature_instances', {
        mandate_id: mandateId,
        feature_code: 'crm',
        label: 'Made by a test',
        enabled,
      }),
    role: async ({
      mandateId = null,
      instanceId = null,
      rules = [],
    }: {
      mandateId?: string | null
      instanceId?: string | null
      rules?: RuleRow[]
    }) => {
      const role = await insert('roles', {
        mandate_id: mandateId,
        feature_instance_id: instanceId,
        label: 'Made by a test',
      })
      for (const rule of rules) await insert('access_rules', { role_id: role, context: 'DATA', ...rule })
      return role
    },
    join: async (
      userId: string,
      mandateId: string,
      { enabled = true, roles = [] }: { enabled?: boolean; roles?: string[] } = {},
    ) => {
      const membership = await insert('user_mandates', { user_id: userId, mandate_id: mandateId, enabled })
      await assignToMembership(membership, roles)
      return membership
    },
    grant: async (
      userId: string,
      instanceId: string,
      { enabled = true, roles = [] }: { enabled?: boolean; roles?: string[] } = {},
    ) => {
      const access = await insert('feature_access', {
        user_id: userId,
        feature_instance_id: instanceId,
        enabled,
      })
      await assignToAccess(access, roles)
      return access
    },
  }
}
