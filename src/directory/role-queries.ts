import { allOf, where, type Condition } from '../database/conditions.js'
import type { Changing, Seen } from './scope.js'

/** A role, with its scope: global without either id, a mandate's, or an instance's, which has both. */
export interface Role {
  id: string
  label: string
  mandateId: string | null
  featureInstanceId: string | null
  createdAt: Date
}

export type RoleScope = 'global' | 'mandate' | 'instance'

const columns =
  'r.id, r.label, r.mandate_id as "mandateId", r.feature_instance_id as "featureInstanceId", r.created_at as "createdAt"'

const scopes: Record<RoleScope, string> = {
  global: 'r.mandate_id is null and r.feature_instance_id is null',
  mandate: 'r.mandate_id is not null and r.feature_instance_id is null',
  instance: 'r.feature_instance_id is not null',
}

/**
 * The roles of a mandate with the global ones: what can be seen from within it, said so that an index can be
 * used.
 */
export const rolesSeenIn = (mandateId: string | undefined, alias = 'r'): Condition | undefined =>
  where(mandateId, `${alias}.mandate_id = ? or ${alias}.mandate_id is null`)

interface RoleFilter {
  seenIn: string | undefined
  scope: RoleScope | undefined
  mandateId: string | undefined
  instanceId: string | undefined
  q: string | undefined
  after: (string | null)[] | undefined
  atMost: number
}

/** Roles by label. */
export async function listRoles(
  sql: Seen,
  { seenIn, scope, mandateId, instanceId, q, after, atMost }: RoleFilter,
): Promise<Role[]> {
  const { sql: condition, values } = allOf([
    rolesSeenIn(seenIn),
    scope && [scopes[scope]],
    where(mandateId, 'r.mandate_id = ?'),
    where(instanceId, 'r.feature_instance_id = ?'),
    where(q, 'position(lower(?) in lower(r.label)) > 0'),
    after && ['(r.label, r.id) > (?, ?::uuid)', ...after],
  ])
  return await sql.rows<Role>(
    `select ${columns} from roles r where ${condition} order by r.label, r.id limit ?`,
    [...values, atMost],
  )
}

/** The role with that id. */
export async function findRole(sql: Seen, id: string): Promise<Role | undefined> {
  const [role] = await sql.rows<Role>(`select ${columns} from roles r where r.id = ?`, [id])
  return role
}

/** As `findRole`; where it may be changed it stays as it is until the transaction ends. */
export async function findRoleForUpdate(tx: Changing, id: string): Promise<Role | undefined> {
  await tx.rows('select from roles where id = ? for update', [id])
  return await findRole(tx, id)
}

/** Returns the role of a mandate, not of one of its instances, with that label, if there is one. */
export async function findRoleOfMandate(
  sql: Seen,
  mandateId: string,
  label: string,
): Promise<Role | undefined> {
  const [role] = await sql.rows<Role>(
    `
    select ${columns}
      from roles r
     where r.mandate_id = ?
       and r.feature_instance_id is null
       and r.label = ?
     order by r.created_at, r.id
     limit 1`,
    [mandateId, label],
  )
  return role
}

/** Writes a role. */
export async function insertRole(
  tx: Changing,
  { label, mandateId, featureInstanceId }: Pick<Role, 'label' | 'mandateId' | 'featureInstanceId'>,
): Promise<Role> {
  const [role] = await tx.rows<Role>(
    `insert into roles as r (label, mandate_id, feature_instance_id) values (?, ?, ?) returning ${columns}`,
    [label, mandateId, featureInstanceId],
  )
  if (!role) throw new Error('an insert answered no row')
  return role
}

/** Writes a role's label. */
export async function setRoleLabel(tx: Changing, id: string, label: string): Promise<void> {
  await tx.run('update roles set label = ? where id = ?', [label, id])
}

/** Removes a role, its rules, and that anybody has it. */
export async function deleteRole(tx: Changing, id: string): Promise<void> {
  await tx.run('delete from roles where id = ?', [id])
}
