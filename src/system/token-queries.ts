import { isUuid } from '../domain/ids.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import {
  allOf,
  beginsWith,
  where,
  type Condition,
  type Page,
  type Positioned,
} from '../database/conditions.js'
import type { Sql } from '../database/connect.js'

/** Whose token it is. */
export async function findTokenOwner(sql: Sql, id: string): Promise<string | undefined> {
  const [row] = await sql.rows<{ userId: string }>('select user_id as "userId" from tokens where id = ?', [
    id,
  ])
  return row?.userId
}

/** Revokes a token, also one that already was. Answers whose it is, if it exists. */
export async function revokeToken(tx: CoherentTx, id: string): Promise<string | undefined> {
  const [row] = await tx.rows<{ userId: string }>(
    `
    update tokens
       set status = 'revoked', revoked_at = coalesce(revoked_at, now())
     where id = ?
    returning user_id as "userId"`,
    [id],
  )
  return row?.userId
}

/** What tokens or sessions are asked for. */
export interface TokenFilter {
  /** An id or an exact username. */
  user?: string | undefined
  /** The beginning of a name, an address or a word of a name of whoever they are of, or an id. */
  q?: string | undefined
  session?: string | undefined
  status?: 'active' | 'revoked' | 'expired' | undefined
  purpose?: string | undefined
}

/** A token's row, as SysAdmins see one; nothing of it lets anybody in. */
export interface ListedToken {
  id: string
  userId: string
  username: string
  authority: string
  purpose: string
  sessionId: string | null
  status: string
  expired: boolean
  issuedAt: Date
  expiresAt: Date | null
  revokedAt: Date | null
  label: string | null
}

/** What is shown of a token, and of the user whose it is. */
const tokenColumns = `t.id,
           t.user_id as "userId",
           u.username,
           t.authority,
           t.purpose,
           t.session_id as "sessionId",
           t.status,
           t.expires_at <= now() as expired,
           t.issued_at as "issuedAt",
           nullif(t.expires_at, 'infinity') as "expiresAt",
           t.revoked_at as "revokedAt",
           t.label`

const ofUser = (column: string, user: string | undefined) =>
  user === undefined
    ? undefined
    : isUuid(user)
      ? ([`${column} = ?::uuid`, user] as const)
      : ([`${column} = (select id from users where username = ?)`, user] as const)

/** Whoever is searched for, or the row itself by its id. */
function found(idColumn: string, userColumn: string, search: string | undefined): Condition | undefined {
  if (search === undefined) return undefined
  const [ofTerm, ...values] = beginsWith('term', search)
  const byUser = `${userColumn} in (select user_id from user_terms where ${ofTerm})`
  return isUuid(search) ? [`${byUser} or ${idColumn} = ?::uuid`, ...values, search] : [byUser, ...values]
}

const states = {
  active: `t.status = 'active' and t.expires_at > now()`,
  expired: `t.status = 'active' and t.expires_at <= now()`,
  revoked: `t.status = 'revoked'`,
} as const

/** Tokens, newest first. */
export async function listTokens(
  sql: Sql,
  { user, q, session, status, purpose }: TokenFilter,
  { after, atMost }: Page,
): Promise<Positioned<ListedToken>[]> {
  const { sql: condition, values } = allOf([
    ofUser('t.user_id', user),
    found('t.id', 't.user_id', q),
    where(session, 't.session_id = ?::uuid'),
    status && [states[status]],
    where(purpose, 't.purpose = ?'),
    after && ['(t.issued_at, t.id) < (?::timestamptz, ?::uuid)', ...after],
  ])
  return await sql.rows(
    `
    select ${tokenColumns},
           array[t.issued_at::text, t.id::text] as position
      from tokens t
      join users u on u.id = t.user_id
     where ${condition}
     order by t.issued_at desc, t.id desc
     limit ?`,
    [...values, atMost],
  )
}

/** A session, as SysAdmins see one. */
export interface ListedSession {
  id: string
  userId: string
  username: string
  authority: string
  createdAt: Date
  lastSeenAt: Date
  endedAt: Date | null
  address: string | null
  userAgent: string | null
}

/** Sessions, newest first; those that run, those that have ended, or both. */
export async function listSessions(
  sql: Sql,
  {
    user,
    q,
    status,
  }: { user?: string | undefined; q?: string | undefined; status?: 'active' | 'ended' | undefined },
  { after, atMost }: Page,
): Promise<Positioned<ListedSession>[]> {
  const { sql: condition, values } = allOf([
    ofUser('s.user_id', user),
    found('s.id', 's.user_id', q),
    status && [status === 'active' ? 's.ended_at is null' : 's.ended_at is not null'],
    after && ['(s.created_at, s.id) < (?::timestamptz, ?::uuid)', ...after],
  ])
  return await sql.rows(
    `
    select s.id,
           s.user_id as "userId",
           u.username,
           s.authority,
           s.created_at as "createdAt",
           s.last_seen_at as "lastSeenAt",
           s.ended_at as "endedAt",
           s.address,
           s.user_agent as "userAgent",
           array[s.created_at::text, s.id::text] as position
      from sessions s
      join users u on u.id = s.user_id
     where ${condition}
     order by s.created_at desc, s.id desc
     limit ?`,
    [...values, atMost],
  )
}

/** Whose session it is, if it exists; it may have ended. */
export async function findSessionOwner(sql: Sql, id: string): Promise<string | undefined> {
  const [row] = await sql.rows<{ userId: string }>('select user_id as "userId" from sessions where id = ?', [
    id,
  ])
  return row?.userId
}

/** A token's row, with what else decides whether it counts. */
export interface TokenState extends ListedToken {
  userEnabled: boolean
  sessionEnded: boolean
}

/** The token with that id. */
export async function findToken(sql: Sql, id: string): Promise<TokenState | undefined> {
  const [row] = await sql.rows<TokenState>(
    `
    select ${tokenColumns},
           u.enabled as "userEnabled",
           s.ended_at is not null as "sessionEnded"
      from tokens t
      join users u on u.id = t.user_id
      left join sessions s on s.id = t.session_id
     where t.id = ?`,
    [id],
  )
  return row
}

/**
 * Ends all sessions and revokes all tokens that let anybody in, and voids the links that set a first
 * password: as if nobody had ever signed in. Answers how many.
 */
export async function revokeEverything(
  tx: CoherentTx,
): Promise<{ sessions: number; tokens: number; links: number }> {
  return {
    sessions: await tx.run('update sessions set ended_at = now() where ended_at is null'),
    tokens: await tx.run(
      `
      update tokens
         set status = 'revoked', revoked_at = now()
       where status = 'active' and purpose <> 'data_connection'`,
    ),
    links: await tx.run('delete from first_access_links'),
  }
}
