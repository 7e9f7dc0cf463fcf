import { allOf, where } from '../database/conditions.js'
import type { Point } from './authority.js'
import type { Seen } from './scope.js'

/** A place that somebody may enter, with their roles there. */
export interface Placed {
  membershipId: string
  userId: string
  username: string
  mandateId: string
  mandateSlug: string
  instanceId: string | null
  instanceLabel: string | null
  roleIds: string[]
}

/** Roles with a rule that may decide about an item: for it, for what it is within, or for all. */
export async function listRolesAbout(sql: Seen, { context, item }: Point): Promise<string[]> {
  const parts = item?.split('.') ?? []
  const wholes = ['', ...parts.map((_part, index) => parts.slice(0, index + 1).join('.'))]
  return (
    await sql.rows<{ id: string }>(
      `select distinct role_id as id from access_rules where context = ? and coalesce(item, '') = any (?::text[])`,
      [context, wholes],
    )
  ).map(({ id }) => id)
}

interface MembershipFilter {
  userId: string | undefined
  mandateId: string | undefined
  /** Only those who hold one of these. */
  roleIds: string[] | undefined
  after: string | null | undefined
  atMost: number
}

/** Memberships that let somebody in, by id. */
export async function listOpenMemberships(
  sql: Seen,
  { userId, mandateId, roleIds, after, atMost }: MembershipFilter,
): Promise<string[]> {
  const { sql: condition, values } = allOf([
    where(userId, 'um.user_id = ?'),
    where(mandateId, 'um.mandate_id = ?'),
    where(after, 'um.id > ?::uuid'),
    roleIds && [
      `um.id in (
      select r.user_mandate_id from user_mandate_roles r where r.role_id = any (?::uuid[])
      union
      select held.id from feature_access_roles r
        join feature_access fa on fa.id = r.feature_access_id join feature_instances i on i.id = fa.feature_instance_id
        join user_mandates held on held.user_id = fa.user_id and held.mandate_id = i.mandate_id
       where r.role_id = any (?::uuid[]))`,
      roleIds,
      roleIds,
    ],
  ])
  return (
    await sql.rows<{ id: string }>(
      `
    select um.id from user_mandates um join users u on u.id = um.user_id join mandates m on m.id = um.mandate_id
     where um.enabled and u.enabled and m.enabled and ${condition} order by um.id limit ?`,
      [...values, atMost],
    )
  ).map(({ id }) => id)
}

/** What these memberships open: the mandate itself, and each instance that the user has access to. */
export async function listPlaces(sql: Seen, membershipIds: string[]): Promise<Placed[]> {
  const member = 'select r.role_id from user_mandate_roles r where r.user_mandate_id = um.id'
  const person =
    'um.id as "membershipId", u.id as "userId", u.username, m.id as "mandateId", m.slug as "mandateSlug"'
  return await sql.rows<Placed>(
    `
    select ${person}, null::uuid as "instanceId", null as "instanceLabel", array(select role_id::text from (${member}) as held order by 1) as "roleIds"
      from user_mandates um join users u on u.id = um.user_id join mandates m on m.id = um.mandate_id
     where um.id = any (?::uuid[])
    union all
    select ${person}, i.id, i.label, array(select role_id::text from (${member} union select r.role_id from feature_access_roles r where r.feature_access_id = fa.id) as held order by 1)
      from user_mandates um join users u on u.id = um.user_id join mandates m on m.id = um.mandate_id
      join feature_access fa on fa.user_id = um.user_id and fa.enabled
      join feature_instances i on i.id = fa.feature_instance_id and i.mandate_id = um.mandate_id and i.enabled
     where um.id = any (?::uuid[])
     order by "membershipId", "instanceLabel" nulls first, "instanceId"`,
    [membershipIds, membershipIds],
  )
}

/** Items that rules name, by context and item. */
export async function listNamedItems(
  sql: Seen,
  { after, atMost }: { after: (string | null)[] | undefined; atMost: number },
): Promise<{ context: Point['context']; item: string }[]> {
  const { sql: condition, values } = allOf([
    [`coalesce(item, '') > ''`],
    after && [`(context, coalesce(item, '') collate "C") > (?, ?)`, ...after],
  ])
  return await sql.rows(
    `select distinct context, coalesce(item, '') collate "C" as item from access_rules where ${condition} order by 1, 2 limit ?`,
    [...values, atMost],
  )
}
