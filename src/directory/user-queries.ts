import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { User } from '../coherence/directory.js'
import { allOf, beginsWith, where, type Page, type Positioned } from '../database/conditions.js'
import type { Sql, Tx } from '../database/connect.js'
import type { Changing, Seen } from './scope.js'

/** A user, as those who govern users see one. */
export interface ListedUser extends User {
  enabled: boolean
  isServiceAccount: boolean
  createdAt: Date
}

/** What a list of users is asked for. */
export interface UserFilter {
  enabled: boolean | undefined
  level: 'sysAdmin' | 'platformAdmin' | 'none' | undefined
  serviceAccount: boolean | undefined
}

export type UserSort = 'username' | '-username' | 'createdAt' | '-createdAt'

const columns = `u.id, u.username, u.email, u.full_name as "fullName", u.enabled, u.is_sys_admin as "isSysAdmin", u.is_platform_admin as "isPlatformAdmin",
  u.is_service_account as "isServiceAccount", u.created_at as "createdAt"`

// Written out, and not `= ?`, so that the partial indexes serve them.
const levels = {
  sysAdmin: 'u.is_sys_admin',
  platformAdmin: 'u.is_platform_admin',
  none: 'not u.is_sys_admin and not u.is_platform_admin',
} as const

function conditionsOf({ enabled, level, serviceAccount }: UserFilter): (readonly [string] | undefined)[] {
  return [
    enabled === undefined ? undefined : [enabled ? 'u.enabled' : 'not u.enabled'],
    level === undefined ? undefined : [levels[level]],
    serviceAccount === undefined
      ? undefined
      : [serviceAccount ? 'u.is_service_account' : 'not u.is_service_account'],
  ]
}

/** Each order: its columns, the row before which a list begins, and how a position is written. */
const orders: Record<UserSort, { after: string; by: string; position: string }> = {
  username: { after: 'u.username > ?', by: 'u.username', position: 'array[u.username]' },
  '-username': { after: 'u.username < ?', by: 'u.username desc', position: 'array[u.username]' },
  createdAt: {
    after: '(u.created_at, u.id) > (?::timestamptz, ?::uuid)',
    by: 'u.created_at, u.id',
    position: 'array[u.created_at::text, u.id::text]',
  },
  '-createdAt': {
    after: '(u.created_at, u.id) < (?::timestamptz, ?::uuid)',
    by: 'u.created_at desc, u.id desc',
    position: 'array[u.created_at::text, u.id::text]',
  },
}

/** How many values a position in this order has. */
export const columnsOf = (sort: UserSort) => (sort.endsWith('username') ? 1 : 2)

/** Users in an order. */
export async function listUsers(
  sql: Seen,
  filter: UserFilter,
  sort: UserSort,
  { after, atMost }: Page,
): Promise<Positioned<ListedUser>[]> {
  const order = orders[sort]
  const { sql: condition, values } = allOf([...conditionsOf(filter), after && [order.after, ...after]])
  return await sql.rows(
    `select ${columns}, ${order.position} as position from users u where ${condition} order by ${order.by} limit ?`,
    [...values, atMost],
  )
}

/**
 * Users of whom a name, an address or a word of a name begins with `search`, by what was found, each once.
 */
export async function searchUsers(
  sql: Seen,
  search: string,
  filter: UserFilter,
  { after, atMost }: Page,
): Promise<Positioned<ListedUser>[]> {
  const { sql: condition, values } = allOf([
    beginsWith('t.term', search),
    after && ['(t.term, t.user_id) > (?, ?::uuid)', ...after],
    // found by an earlier term already
    [
      'not exists (select from user_terms earlier where earlier.user_id = t.user_id and earlier.term >= lower(?) and earlier.term < t.term)',
      search,
    ],
    ...conditionsOf(filter),
  ])
  return await sql.rows(
    `
    select ${columns}, array[t.term, t.user_id::text] as position
      from user_terms t join users u on u.id = t.user_id
     where ${condition} order by t.term, t.user_id limit ?`,
    [...values, atMost],
  )
}

/** The user with that id. */
export async function findUser(sql: Seen, id: string): Promise<ListedUser | undefined> {
  const [user] = await sql.rows<ListedUser>(`select ${columns} from users u where u.id = ?`, [id])
  return user
}

/** The user with that id, who stays as they are until the transaction ends. */
export async function findUserForUpdate(tx: Changing, id: string): Promise<ListedUser | undefined> {
  const [user] = await tx.rows<ListedUser>(`select ${columns} from users u where u.id = ? for update`, [id])
  return user
}

/** The id of whoever is meant, anywhere on the platform: by id or by name. */
export async function findUserId(
  sql: Sql,
  { userId, username }: { userId?: string | undefined; username?: string | undefined },
): Promise<string | undefined> {
  const { sql: condition, values } = allOf([where(userId, 'id = ?'), where(username, 'username = ?')])
  const [user] = await sql.rows<{ id: string }>(`select id from users where ${condition} limit 1`, values)
  return user?.id
}

/** Returns the name of the user of that id, if there is one. */
export async function findUsername(sql: Sql, id: string): Promise<string | undefined> {
  return (await sql.rows<{ username: string }>('select username from users where id = ?', [id]))[0]?.username
}

/** Returns whether the user of that id holds a platform level, enabled or not. */
export async function hasLevel(sql: Sql, id: string): Promise<boolean> {
  return (
    (await sql.rows('select from users where id = ? and (is_sys_admin or is_platform_admin)', [id])).length >
    0
  )
}

/** Somebody who holds a platform level and is enabled. */
export interface EnabledAdmin extends Pick<ListedUser, 'id' | 'isSysAdmin' | 'isPlatformAdmin'> {
  /** A person with a password or an identity. Programs do not repair a platform. */
  canSignIn: boolean
}

/**
 * Returns whether nobody else of a level is enabled, or the last person of it who can sign in would go:
 * nobody could undo that.
 */
export function isLastOfLevel(
  admins: EnabledAdmin[],
  id: string,
  level: 'isSysAdmin' | 'isPlatformAdmin',
): boolean {
  const others = admins.filter((admin) => admin[level] && admin.id !== id)
  const canSignIn = admins.some((admin) => admin.id === id && admin.canSignIn)
  return others.length === 0 || (canSignIn && !others.some((admin) => admin.canSignIn))
}

/**
 * All who hold a platform level and are enabled, locked in one order, so that two of them cannot be removed
 * at once.
 */
export async function lockEnabledAdmins(tx: CoherentTx): Promise<EnabledAdmin[]> {
  return await tx.rows(`
    select u.id, u.is_sys_admin as "isSysAdmin", u.is_platform_admin as "isPlatformAdmin",
           not u.is_service_account and (u.password_hash is not null or exists (select from user_identities i where i.user_id = u.id)) as "canSignIn"
      from users u
     where u.enabled and (u.is_sys_admin or u.is_platform_admin)
     order by u.id
       for no key update of u`)
}

/** Writes a user. Rejects with `conflict` where the name is taken. */
export async function insertUser(
  tx: Changing,
  user: Pick<ListedUser, 'username' | 'email' | 'fullName' | 'enabled' | 'isPlatformAdmin'> & {
    isServiceAccount?: boolean
    createdBy: string | null
  },
): Promise<ListedUser> {
  const [row] = await tx.rows<ListedUser>(
    `
    insert into users as u (username, email, full_name, enabled, is_platform_admin, is_service_account, created_by) values (?, ?, ?, ?, ?, ?, ?) returning ${columns}`,
    [
      user.username,
      user.email,
      user.fullName,
      user.enabled,
      user.isPlatformAdmin,
      user.isServiceAccount ?? false,
      user.createdBy,
    ],
  )
  if (!row) throw new Error('an insert answered no row')
  return row
}

/** Writes what may change of a user. */
export async function updateUser(
  tx: Changing,
  { id, email, fullName, enabled, isPlatformAdmin }: ListedUser,
): Promise<void> {
  await tx.run(
    `
    update users
       set email = ?, email_confirmed = email_confirmed or email is distinct from ?, full_name = ?, enabled = ?,
           is_platform_admin = ?
     where id = ?`,
    [email, email, fullName, enabled, isPlatformAdmin, id],
  )
}

/** Deletes the links that were mailed about an account. */
export async function deleteMailedLinks(tx: Tx, userId: string): Promise<void> {
  await tx.run('delete from account_links where user_id = ?', [userId])
  await tx.run('delete from first_access_links where user_id = ? and sent_to is not null', [userId])
}

/** Removes a user with everything of theirs but what the audit holds. */
export async function deleteUser(tx: Changing, id: string): Promise<void> {
  await tx.run('delete from users where id = ?', [id])
}

/** A login of a user. */
export interface UserSession {
  id: string
  authority: string
  createdAt: Date
  lastSeenAt: Date
  address: string | null
  userAgent: string | null
}

/** Sessions of a user that have not ended, newest first. */
export async function listUserSessions(
  sql: Seen,
  userId: string,
  { after, atMost }: Page,
): Promise<Positioned<UserSession>[]> {
  const { sql: condition, values } = allOf([
    after && ['(created_at, id) < (?::timestamptz, ?::uuid)', ...after],
  ])
  return await sql.rows(
    `
    select id, authority, created_at as "createdAt", last_seen_at as "lastSeenAt", address, user_agent as "userAgent", array[created_at::text, id::text] as position
      from sessions where user_id = ? and ended_at is null and ${condition}
     order by created_at desc, id desc limit ?`,
    [userId, ...values, atMost],
  )
}
