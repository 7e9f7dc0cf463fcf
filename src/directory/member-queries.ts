import { allOf, beginsWith, where, type Condition } from '../database/conditions.js'
import type { Changing, Seen } from './realm.js'

/** A user's row in a mandate, or on an instance. */
export interface Member {
  id: string
  userId: string
  username: string
  email: string | null
  fullName: string | null
  enabled: boolean
  roleIds: string[]
  createdAt: Date
}

/** The two kinds of rows: in a mandate, on an instance. */
export const memberships = { table: 'user_mandates', within: 'mandate_id', roles: 'user_mandate_roles', ref: 'user_mandate_id' } as const
export const accesses = { table: 'feature_access', within: 'feature_instance_id', roles: 'feature_access_roles', ref: 'feature_access_id' } as const
export type Kind = typeof memberships | typeof accesses

const rolesOf = ({ roles, ref }: Kind) => `select r.role_id::text from ${roles} r where r.${ref} = x.id`
const columnsOf = (kind: Kind) => `x.id, x.user_id as "userId", u.username, u.email, u.full_name as "fullName", x.enabled, array(${rolesOf(kind)} order by 1) as "roleIds", x.created_at as "createdAt"`

export interface MemberFilter {
  q: string | undefined
  enabled: boolean | undefined
  roleId: string | undefined
  after: string | null | undefined
  atMost: number
}

/** Those within a mandate or on an instance, by username. */
export async function listMembers(sql: Seen, kind: Kind, withinId: string, { q, enabled, roleId, after, atMost }: MemberFilter): Promise<Member[]> {
  const terms: Condition | undefined = q === undefined ? undefined : beginsWith('t.term', q)
  const { sql: condition, values } = allOf([
    [`x.${kind.within} = ?`, withinId],
    where(enabled, 'x.enabled = ?'),
    where(roleId, `exists (select from ${kind.roles} r where r.${kind.ref} = x.id and r.role_id = ?)`),
    terms && [`exists (select from user_terms t where t.user_id = x.user_id and ${terms[0]})`, ...terms.slice(1)],
    where(after, 'u.username > ?'),
  ])
  return await sql.rows<Member>(`select ${columnsOf(kind)} from ${kind.table} x join users u on u.id = x.user_id where ${condition} order by u.username limit ?`, [...values, atMost])
}

/** The row with that id, or of the user with that id. */
export async function findMember(sql: Seen, kind: Kind, withinId: string, id: string): Promise<Member | undefined> {
  const [member] = await sql.rows<Member>(`
    select ${columnsOf(kind)} from ${kind.table} x join users u on u.id = x.user_id where x.${kind.within} = ? and (x.id = ? or x.user_id = ?)`, [withinId, id, id])
  return member
}

/** As `findMember`; the row stays as it is until the transaction ends. */
export async function findMemberForUpdate(tx: Changing, kind: Kind, withinId: string, id: string): Promise<Member | undefined> {
  await tx.rows(`select from ${kind.table} x where x.${kind.within} = ? and (x.id = ? or x.user_id = ?) for update`, [withinId, id, id])
  return await findMember(tx, kind, withinId, id)
}

/** Writes a row without roles. Rejects with `conflict` where there is one. */
export async function insertMember(tx: Changing, kind: Kind, withinId: string, userId: string, enabled: boolean): Promise<void> {
  await tx.run(`insert into ${kind.table} (user_id, ${kind.within}, enabled) values (?, ?, ?)`, [userId, withinId, enabled])
}

/** Lets somebody in, or not. */
export async function setMemberEnabled(tx: Changing, kind: Kind, id: string, enabled: boolean): Promise<void> {
  await tx.run(`update ${kind.table} set enabled = ? where id = ?`, [enabled, id])
}

/** Makes these the roles of a row. */
export async function setMemberRoles(tx: Changing, kind: Kind, id: string, roleIds: string[]): Promise<void> {
  await tx.run(`delete from ${kind.roles} where ${kind.ref} = ? and not role_id = any (?::uuid[])`, [id, roleIds])
  await tx.run(`insert into ${kind.roles} (${kind.ref}, role_id) select ?, unnest(?::uuid[]) on conflict do nothing`, [id, roleIds])
}

/** Removes somebody from a mandate, with their access to its instances; or from an instance. */
export async function deleteMember(tx: Changing, kind: Kind, withinId: string, member: Member): Promise<void> {
  if (kind === memberships) {
    await tx.run('delete from feature_access where user_id = ? and feature_instance_id in (select id from feature_instances where mandate_id = ?)', [member.userId, withinId])
  }
  await tx.run(`delete from ${kind.table} where id = ?`, [member.id])
}

/** A role, with its scope. */
export interface ScopedRole {
  id: string
  mandateId: string | null
  instanceId: string | null
}

/** Those of these roles that are here. */
export async function findRoles(sql: Seen, ids: string[]): Promise<ScopedRole[]> {
  return await sql.rows<ScopedRole>('select id, mandate_id as "mandateId", feature_instance_id as "instanceId" from roles where id = any (?::uuid[])', [ids])
}
