import { allOf, where } from '../database/conditions.js'
import type { Sql } from '../database/connect.js'

/** Whose authority a change concerns: those for whom all of it holds. */
export interface Scope {
  userId?: string
  mandateId?: string
  instanceId?: string
  /** Whoever holds this role, anywhere. */
  roleId?: string
}

/** A place that a user may enter, and the roles that they have there. */
export interface Holding {
  userId: string
  username: string
  mandateId: string
  /** Null: the mandate itself. */
  instanceId: string | null
  roleIds: string[]
  /**
   * False where the user, the mandate, or one of the rows that let them in, is disabled: it is what they
   * would hold.
   */
  isOpen: boolean
}

/**
 * Which places are listed: those that can be entered, or also those that could be if what is disabled were
 * not.
 */
export interface Listed {
  withDisabled?: boolean
  atMost?: number | undefined
}

const rolesOfMember = 'select r.role_id from user_mandate_roles r where r.user_mandate_id = um.id'
const rolesOfAccess = 'select r.role_id from feature_access_roles r where r.feature_access_id = fa.id'

/** The places that users of a scope may enter, at most so many; without a number all. */
export async function listHoldings(
  sql: Sql,
  { userId, mandateId, instanceId, roleId }: Scope,
  { withDisabled = false, atMost }: Listed = {},
): Promise<Holding[]> {
  const open = 'u.enabled and um.enabled and m.enabled'
  const openInstance = `${open} and fa.enabled and i.enabled`
  const member = [where(userId, 'u.id = ?'), where(mandateId, 'm.id = ?')]
  const inMandate = allOf([
    ...member,
    ...(instanceId === undefined ? [] : [['false'] as const]),
    where(roleId, `exists (${rolesOfMember} and r.role_id = ?)`),
  ])
  const onInstance = allOf([
    ...member,
    where(instanceId, 'i.id = ?'),
    ...(roleId === undefined
      ? []
      : [
          [
            `exists (${rolesOfMember} and r.role_id = ?) or exists (${rolesOfAccess} and r.role_id = ?)`,
            roleId,
            roleId,
          ] as const,
        ]),
  ])
  return await sql.rows<Holding>(
    `
    select u.id as "userId", u.username, m.id as "mandateId", null::uuid as "instanceId", array(select role_id::text from (${rolesOfMember}) as held order by 1) as "roleIds", ${open} as "isOpen"
      from user_mandates um join users u on u.id = um.user_id join mandates m on m.id = um.mandate_id
     where (${String(withDisabled)} or ${open}) and ${inMandate.sql}
    union all
    select u.id, u.username, m.id, i.id, array(select role_id::text from (${rolesOfMember} union ${rolesOfAccess}) as held order by 1), ${openInstance}
      from feature_access fa
      join feature_instances i on i.id = fa.feature_instance_id
      join mandates m on m.id = i.mandate_id
      join user_mandates um on um.mandate_id = m.id and um.user_id = fa.user_id
      join users u on u.id = um.user_id
     where (${String(withDisabled)} or ${openInstance}) and ${onInstance.sql}
     limit ?`,
    [...inMandate.values, ...onInstance.values, atMost ?? null],
  )
}

/** How many memberships and accesses there are in a scope that is a role, or a whole mandate or instance. */
export async function countHoldings(sql: Sql, { mandateId, instanceId, roleId }: Scope): Promise<number> {
  const [row] = await sql.rows<{ count: string }>(
    `
    select (select count(*) from user_mandate_roles where role_id = ?::uuid)
         + (select count(*) from feature_access_roles where role_id = ?::uuid)
         + (select count(*) from user_mandates where mandate_id = ?::uuid)
         + (select count(*) from feature_access where feature_instance_id = ?::uuid) as count`,
    [
      roleId ?? null,
      roleId ?? null,
      roleId === undefined && instanceId === undefined ? (mandateId ?? null) : null,
      roleId === undefined ? (instanceId ?? null) : null,
    ],
  )
  return Number(row?.count ?? 0)
}

/**
 * What somebody has in a mandate: roles by membership, and by access to each of its instances, enabled or
 * not.
 */
export interface Standing {
  membership: { enabled: boolean; roleIds: string[] } | undefined
  accesses: { instanceId: string; enabled: boolean; roleIds: string[] }[]
}

/** What a user who is enabled has in a mandate, as it is now. */
export async function findStanding(sql: Sql, userId: string, mandateId: string): Promise<Standing> {
  const [membership] = await sql.rows<{ enabled: boolean; roleIds: string[] }>(
    `
    select um.enabled, array(${rolesOfMember.replace('r.role_id', 'r.role_id::text')}) as "roleIds"
      from user_mandates um join users u on u.id = um.user_id and u.enabled where um.user_id = ? and um.mandate_id = ?`,
    [userId, mandateId],
  )
  const accesses = await sql.rows<Standing['accesses'][number]>(
    `
    select fa.feature_instance_id as "instanceId", fa.enabled, array(${rolesOfAccess.replace('r.role_id', 'r.role_id::text')}) as "roleIds"
      from feature_access fa join feature_instances i on i.id = fa.feature_instance_id
     where fa.user_id = ? and i.mandate_id = ?`,
    [userId, mandateId],
  )
  return { membership, accesses }
}

/** The logins of a user that count: open sessions, and tokens that would be accepted. */
export async function listLogins(
  sql: Sql,
  userId: string,
): Promise<{ sessions: string[]; tokens: string[] }> {
  const ids = async (statement: string) =>
    (await sql.rows<{ id: string }>(statement, [userId])).map(({ id }) => id)
  return {
    sessions: await ids(
      'select s.id from sessions s join users u on u.id = s.user_id and u.enabled where s.user_id = ? and s.ended_at is null order by s.created_at desc',
    ),
    tokens: await ids(`
      select t.id from tokens t join users u on u.id = t.user_id and u.enabled left join sessions s on s.id = t.session_id
       where t.user_id = ? and t.status = 'active' and t.expires_at > now() and s.ended_at is null order by t.issued_at desc`),
  }
}

/**
 * Two who change the rights of one mandate do so one after the other: what the second may do is decided by
 * what the first has left.
 */
export async function lockMandate(sql: Sql, mandateId: string): Promise<boolean> {
  return (await sql.rows('select from mandates where id = ? for no key update', [mandateId])).length > 0
}
