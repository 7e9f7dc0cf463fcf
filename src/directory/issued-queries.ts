import { liveTokens } from '../authentication/end-queries.js'
import { allOf, type Page, type Positioned } from '../database/conditions.js'
import type { Changing, Seen } from './scope.js'

/** A link by which a user can set a password, as long as it works. */
export interface OpenLink {
  id: string
  userId: string
  username: string
  /** The admin who issued it; null: the command line. */
  issuedBy: string | null
  /** Null also where that admin is deleted. */
  issuedByUsername: string | null
  createdAt: Date
  expiresAt: Date
}

const linkColumns = `l.id, l.user_id as "userId", u.username, l.issued_by as "issuedBy", (select i.username from users i where i.id = l.issued_by) as "issuedByUsername",
           l.created_at as "createdAt", l.expires_at as "expiresAt"`

/** Links that have neither been used nor expired, newest first. */
export async function listOpenLinks(sql: Seen, { after, atMost }: Page): Promise<Positioned<OpenLink>[]> {
  const { sql: condition, values } = allOf([
    after && ['(l.created_at, l.id) < (?::timestamptz, ?::uuid)', ...after],
  ])
  return await sql.rows(
    `
    select ${linkColumns}, array[l.created_at::text, l.id::text] as position
      from first_access_links l
      join users u on u.id = l.user_id
     where l.expires_at > now() and ${condition}
     order by l.created_at desc, l.id desc
     limit ?`,
    [...values, atMost],
  )
}

/** A link that works, and whether it is a SysAdmin's. */
export async function findOpenLink(
  tx: Changing,
  id: string,
): Promise<(OpenLink & { isSysAdmin: boolean }) | undefined> {
  const [link] = await tx.rows<OpenLink & { isSysAdmin: boolean }>(
    `
    select ${linkColumns}, u.is_sys_admin as "isSysAdmin"
      from first_access_links l
      join users u on u.id = l.user_id
     where l.id = ? and l.expires_at > now()
       for update of l`,
    [id],
  )
  return link
}

/** Makes a link work no more. */
export async function deleteLink(tx: Changing, id: string): Promise<void> {
  await tx.run('delete from first_access_links where id = ?', [id])
}

export const issuedKinds = ['firstAccess', 'secret', 'key', 'token', 'serviceAccount'] as const

/** Something that an admin made, by which somebody else is let in. */
export interface Issued {
  kind: (typeof issuedKinds)[number]
  id: string
  /** Whose it is. */
  userId: string
  username: string
  label: string | null
  createdAt: Date
  expiresAt: Date | null
  lastUsedAt: Date | null
}

/** Each kind, as long as it is good. Each has one placeholder: the admin. */
const issued = `
  select 'firstAccess' as kind, id, user_id, null as label, created_at, expires_at, null::timestamptz as last_used_at
    from first_access_links where issued_by = ? and expires_at > now()
  union all
  select 'secret', id, user_id, label, created_at, expires_at, last_used_at
    from service_secrets where created_by = ? and (expires_at is null or expires_at > now())
  union all
  select 'key', id, user_id, label, created_at, expires_at, last_used_at
    from service_keys where created_by = ? and (expires_at is null or expires_at > now())
  union all
  select 'token', id, user_id, label, issued_at, nullif(expires_at, 'infinity'), last_used_at
    from tokens where created_by = ? and purpose = 'api_token' and status = 'active' and expires_at > now()
  union all
  select 'serviceAccount', id, id, full_name, created_at, null, null
    from users where created_by = ? and is_service_account`

/** What an admin made and is still good, newest first. */
export async function listIssued(
  sql: Seen,
  by: string,
  { after, atMost }: Page,
): Promise<Positioned<Issued>[]> {
  const { sql: condition, values } = allOf([
    after && ['(i.created_at, i.id) < (?::timestamptz, ?::uuid)', ...after],
  ])
  return await sql.rows(
    `
    select i.kind, i.id, i.user_id as "userId", u.username, i.label, i.created_at as "createdAt", i.expires_at as "expiresAt",
           i.last_used_at as "lastUsedAt", array[i.created_at::text, i.id::text] as position
      from (${issued}) as i
      join users u on u.id = i.user_id
     where ${condition}
     order by i.created_at desc, i.id desc
     limit ?`,
    [by, by, by, by, by, ...values, atMost],
  )
}

/** How much of what somebody made was withdrawn. */
export interface Withdrawn {
  links: number
  secrets: number
  keys: number
  tokens: number
}

/**
 * Withdraws the links, secrets, keys and tokens that somebody made, and the access tokens that were given for
 * those secrets and keys. Without `alsoOfSysAdmins` what SysAdmins are let in by stays.
 */
export async function withdrawIssued(
  tx: Changing,
  by: string,
  { alsoOfSysAdmins }: { alsoOfSysAdmins: boolean },
): Promise<Withdrawn> {
  const theirs = alsoOfSysAdmins ? 'true' : 'user_id in (select id from users where not is_sys_admin)'
  const tokens = await tx.run(
    `
    update tokens t set status = 'revoked', revoked_at = now()
     where ${liveTokens} and session_id is null and ${theirs}
       and (created_by = ?
         or exists (select from service_secrets s where s.user_id = t.user_id and s.created_by = ? and t.label = 'secret:' || s.id)
         or exists (select from service_keys k where k.user_id = t.user_id and k.created_by = ? and t.label = 'key:' || k.id))`,
    [by, by, by],
  )
  const remove = (table: string, column: string) =>
    tx.run(`delete from ${table} where ${column} = ? and ${theirs}`, [by])
  return {
    links: await remove('first_access_links', 'issued_by'),
    secrets: await remove('service_secrets', 'created_by'),
    keys: await remove('service_keys', 'created_by'),
    tokens,
  }
}
