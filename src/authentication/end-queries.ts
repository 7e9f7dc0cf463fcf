import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'

/** A session that has just ended, and its user. */
export interface EndedSession {
  id: string
  userId: string
}

/**
 * Tokens that may still admit somebody. Others are left alone, because a session has one for each refresh,
 * and each changed row is announced to all nodes. The hour is for nodes whose clocks are behind.
 */
export const liveTokens = `status = 'active' and expires_at > now() - interval '1 hour'`

/**
 * Ends sessions and revokes their access tokens. Their refresh tokens stop working. Returns the sessions that
 * had not ended before.
 */
export async function endSessions(tx: CoherentTx, ids: string[]): Promise<EndedSession[]> {
  // Every transaction locks several sessions in the same order. A running refresh holds the lock until its
  // tokens are visible below.
  await tx.rows('select from sessions where id = any (?::uuid[]) order by id for update', [ids])
  const ended = await tx.rows<EndedSession>(
    'update sessions set ended_at = now() where ended_at is null and id = any (?::uuid[]) returning id, user_id as "userId"',
    [ids],
  )
  await tx.run(
    `update tokens set status = 'revoked', revoked_at = now() where ${liveTokens} and session_id = any (?::uuid[])`,
    [ids],
  )
  return ended
}

/** Ends all sessions of a user but one, and revokes logins without a session. */
export async function endSessionsOfUser(
  tx: CoherentTx,
  userId: string,
  { except = null }: { except?: string | null } = {},
): Promise<EndedSession[]> {
  const sessions = await tx.rows<{ id: string }>(
    'select id from sessions where user_id = ? and ended_at is null and id is distinct from ?',
    [userId, except],
  )
  const ended = await endSessions(
    tx,
    sessions.map(({ id }) => id),
  )
  await tx.run(
    `
    update tokens set status = 'revoked', revoked_at = now()
     where user_id = ? and ${liveTokens} and purpose = 'auth_session' and session_id is null`,
    [userId],
  )
  return ended
}

/** The tokens by which a caller shows a login. */
export interface Presented {
  /** Ids of access tokens. */
  tokenIds: string[]
  /** Hashes of refresh tokens. */
  refreshHashes: string[]
}

const sessionsOf = `
    select session_id as id from tokens where id = any (?::uuid[]) and session_id is not null
    union select session_id from refresh_tokens where token_hash = any (?::text[])`

/** Lists the sessions of these tokens that have not ended. */
export async function listLiveSessionIds(
  sql: Pick<CoherentTx, 'rows'>,
  { tokenIds, refreshHashes }: Presented,
): Promise<string[]> {
  const sessions = await sql.rows<{ id: string }>(
    `select id from sessions where ended_at is null and id in (${sessionsOf})`,
    [tokenIds, refreshHashes],
  )
  return sessions.map(({ id }) => id)
}

/** Ends the logins of these tokens: their sessions with all their tokens, and tokens without a session. */
export async function endLogins(
  tx: CoherentTx,
  { tokenIds, refreshHashes }: Presented,
): Promise<EndedSession[]> {
  const sessions = await tx.rows<{ id: string }>(sessionsOf, [tokenIds, refreshHashes])
  const ended = await endSessions(
    tx,
    sessions.map(({ id }) => id),
  )
  await tx.run(
    `update tokens set status = 'revoked', revoked_at = now() where ${liveTokens} and id = any (?::uuid[])`,
    [tokenIds],
  )
  return ended
}

/** Finds the session with that id, if it is the user's. Ended ones count: ending one again is no error. */
export async function findSessionOfUser(
  tx: CoherentTx,
  id: string,
  userId: string,
): Promise<{ id: string } | undefined> {
  const [session] = await tx.rows<{ id: string }>('select id from sessions where id = ? and user_id = ?', [
    id,
    userId,
  ])
  return session
}

/**
 * Revokes one access token, or an API token, by its id. Other tokens of its session stay. Returns its user,
 * if it was active until now.
 */
export async function revokeAccessToken(tx: CoherentTx, id: string): Promise<{ userId: string } | undefined> {
  const [revoked] = await tx.rows<{ userId: string }>(
    `
    update tokens set status = 'revoked', revoked_at = now()
     where id = ? and ${liveTokens} and purpose in ('auth_session', 'api_token') returning user_id as "userId"`,
    [id],
  )
  return revoked
}

/** Revokes the tokens of a user without a session, such as those of programs. */
export async function revokeLooseTokens(tx: CoherentTx, userId: string): Promise<void> {
  await tx.run(
    `
    update tokens set status = 'revoked', revoked_at = now()
     where user_id = ? and session_id is null and ${liveTokens} and purpose <> 'data_connection'`,
    [userId],
  )
}

/** Withdraws the links by which a user could set a password, or confirm an address. */
export async function withdrawLinksOf(tx: CoherentTx, userId: string): Promise<void> {
  await tx.run('delete from first_access_links where user_id = ?', [userId])
  await tx.run(`delete from account_links where user_id = ? and kind <> 'email_undo'`, [userId])
}

/** Removes all second factors of a user with their recovery codes, and ends their sessions. */
export async function endFactors(tx: CoherentTx, userId: string): Promise<{ factors: number }> {
  await tx.rows('select from users where id = ? for update', [userId])
  const factors = await tx.run('delete from user_factors where user_id = ?', [userId])
  for (const table of ['recovery_codes', 'pending_totp', 'factor_failures'])
    await tx.run(`delete from ${table} where user_id = ?`, [userId])
  await endSessionsOfUser(tx, userId)
  return { factors }
}

/**
 * Ends every way to act as this user but their password. Others may have arranged such a way, and kept it,
 * before the user got a platform level.
 */
export async function endWaysIn(tx: CoherentTx, userId: string): Promise<void> {
  await endSessionsOfUser(tx, userId)
  await revokeLooseTokens(tx, userId)
  await withdrawLinksOf(tx, userId)
  await tx.run(`delete from user_factors where user_id = ? and kind = 'passkey'`, [userId])
  for (const table of ['account_links', 'user_identities', 'service_secrets', 'service_keys'])
    await tx.run(`delete from ${table} where user_id = ?`, [userId])
}
