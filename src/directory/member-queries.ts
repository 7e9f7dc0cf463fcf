import { allOf, beginsWith, where, type Condition } from '../database/conditions.js'
import type { Sql } from '../database/connect.js'
import type { Changing, Seen } from './scope.js'

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
export const memberships = {
  table: 'user_mandates',
  within: 'mandate_id',
  roles: 'user_mandate_roles',
  ref: 'user_mandate_id',
  isShown: 'x.profile_shown',
} as const
export const accesses = {
  table: 'feature_access',
  within: 'feature_instance_id',
  roles: 'feature_access_roles',
  ref: 'feature_access_id',
  isShown: `exists (
    select from user_mandates um join feature_instances i on i.mandate_id = um.mandate_id
     where um.user_id = x.user_id and i.id = x.feature_instance_id and um.profile_shown)`,
} as const
export type MemberKind = typeof memberships | typeof accesses

/** The rows of a mandate or instance, as somebody sees them. */
export interface MemberRows {
  kind: MemberKind
  /** The mandate or instance. */
  withinId: string
  /** Whether profiles are seen that their owners have not shown to the mandate. */
  seesAll: boolean
}

const rolesOf = ({ roles, ref }: MemberKind) => `select r.role_id::text from ${roles} r where r.${ref} = x.id`
const profileOf = ({ kind, seesAll }: MemberRows, column: string) =>
  seesAll ? column : `case when ${kind.isShown} then ${column} end`
const columnsOf = (
  rows: MemberRows,
) => `x.id, x.user_id as "userId", u.username, ${profileOf(rows, 'u.email')} as email, ${profileOf(rows, 'u.full_name')} as "fullName",
  x.enabled, array(${rolesOf(rows.kind)} order by 1) as "roleIds", x.created_at as "createdAt"`

/**
 * Finds by all terms of a user, or, where the profile is not seen, by those of the username: they are among
 * all terms, which one index serves.
 */
function matching({ kind, seesAll }: MemberRows, search: string): Condition {
  const [isFound, ...values] = beginsWith('t.term', search)
  const byAny = `exists (select from user_terms t where t.user_id = x.user_id and ${isFound})`
  if (seesAll) return [byAny, ...values]
  const byName = `exists (select from (select term collate "C" as term from gateway_terms('{}', array[u.username]) as term) as t where ${isFound})`
  return [`${byAny} and (${kind.isShown} or ${byName})`, ...values, ...values]
}

export interface MemberFilter {
  q: string | undefined
  enabled: boolean | undefined
  roleId: string | undefined
  after: string | null | undefined
  atMost: number
}

/** Those within a mandate or on an instance, by username. */
export async function listMembers(
  sql: Seen,
  rows: MemberRows,
  { q, enabled, roleId, after, atMost }: MemberFilter,
): Promise<Member[]> {
  const { kind, withinId } = rows
  const { sql: condition, values } = allOf([
    [`x.${kind.within} = ?`, withinId],
    where(enabled, 'x.enabled = ?'),
    where(roleId, `exists (select from ${kind.roles} r where r.${kind.ref} = x.id and r.role_id = ?)`),
    q === undefined ? undefined : matching(rows, q),
    where(after, 'u.username > ?'),
  ])
  return await sql.rows<Member>(
    `select ${columnsOf(rows)} from ${kind.table} x join users u on u.id = x.user_id where ${condition} order by u.username limit ?`,
    [...values, atMost],
  )
}

/** The row with that id, or of the user with that id. */
export async function findMember(sql: Seen, rows: MemberRows, id: string): Promise<Member | undefined> {
  const { kind, withinId } = rows
  const [member] = await sql.rows<Member>(
    `
    select ${columnsOf(rows)} from ${kind.table} x join users u on u.id = x.user_id where x.${kind.within} = ? and (x.id = ? or x.user_id = ?)`,
    [withinId, id, id],
  )
  return member
}

/** As `findMember`; the row stays as it is until the transaction ends. */
export async function findMemberForUpdate(
  tx: Changing,
  rows: MemberRows,
  id: string,
): Promise<Member | undefined> {
  const { kind, withinId } = rows
  await tx.rows(
    `select from ${kind.table} x where x.${kind.within} = ? and (x.id = ? or x.user_id = ?) for update`,
    [withinId, id, id],
  )
  return await findMember(tx, rows, id)
}

/**
 * Writes a row without roles. Rejects with `conflict` where there is one. Of a new member whose row the
 * writer does not see all of, the profile is not shown.
 */
export async function insertMember(
  tx: Changing,
  { kind, withinId, seesAll }: MemberRows,
  userId: string,
  enabled: boolean,
): Promise<void> {
  if (kind === memberships) {
    await tx.run(
      'insert into user_mandates (user_id, mandate_id, enabled, profile_shown) values (?, ?, ?, ?)',
      [userId, withinId, enabled, seesAll],
    )
    return
  }
  await tx.run(`insert into ${kind.table} (user_id, ${kind.within}, enabled) values (?, ?, ?)`, [
    userId,
    withinId,
    enabled,
  ])
}

/** Lets somebody in, or not. */
export async function setMemberEnabled(
  tx: Changing,
  kind: MemberKind,
  id: string,
  enabled: boolean,
): Promise<void> {
  await tx.run(`update ${kind.table} set enabled = ? where id = ?`, [enabled, id])
}

/** Makes these the roles of a row. */
export async function setMemberRoles(
  tx: Changing,
  kind: MemberKind,
  id: string,
  roleIds: string[],
): Promise<void> {
  await tx.run(`delete from ${kind.roles} where ${kind.ref} = ? and not role_id = any (?::uuid[])`, [
    id,
    roleIds,
  ])
  await tx.run(
    `insert into ${kind.roles} (${kind.ref}, role_id) select ?, unnest(?::uuid[]) on conflict do nothing`,
    [id, roleIds],
  )
}

/** Removes somebody from a mandate, with their access to its instances; or from an instance. */
export async function deleteMember(
  tx: Changing,
  { kind, withinId }: MemberRows,
  member: Member,
): Promise<void> {
  if (kind === memberships) {
    await tx.run(
      'delete from feature_access where user_id = ? and feature_instance_id in (select id from feature_instances where mandate_id = ?)',
      [member.userId, withinId],
    )
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
  return await sql.rows<ScopedRole>(
    'select id, mandate_id as "mandateId", feature_instance_id as "instanceId" from roles where id = any (?::uuid[])',
    [ids],
  )
}

/** Shows the mandate's admins the profile of a member, from now on. */
export async function showProfile(sql: Sql, membershipId: string): Promise<void> {
  await sql.run('update user_mandates set profile_shown = true where id = ? and not profile_shown', [
    membershipId,
  ])
}
