import type { Tx } from '../database/connect.js'

/** Any fixed number: whoever forgets old logins holds the lock of that number until its transaction ends. */
const retentionLock = 7_162_010

/** Returns whether this transaction deletes the old rows; otherwise another node is doing it. */
export async function tryRetentionLock(tx: Tx): Promise<boolean> {
  const [row] = await tx.rows<{ locked: boolean }>('select pg_try_advisory_xact_lock(?) as locked', [
    retentionLock,
  ])
  return row?.locked === true
}

interface Batch {
  olderThanDays: number
  atMost: number
}

/**
 * Deletes access tokens that expired long ago. Answers how many. Tokens of other purposes are their owners'
 * to keep.
 */
export async function deleteExpiredTokens(tx: Tx, { olderThanDays, atMost }: Batch): Promise<number> {
  return await tx.run(
    `
    delete from tokens where id in (
      select id from tokens where expires_at < now() - make_interval(days => ?) and purpose = 'auth_session'
       order by expires_at limit ? for update skip locked)`,
    [olderThanDays, atMost],
  )
}

/**
 * Deletes refresh tokens, spent or not, that could not have been used any more for long. Answers how many.
 */
export async function deleteExpiredRefreshTokens(tx: Tx, { olderThanDays, atMost }: Batch): Promise<number> {
  return await tx.run(
    `
    delete from refresh_tokens where token_hash in (
      select token_hash from refresh_tokens where expires_at < now() - make_interval(days => ?)
       order by expires_at limit ? for update skip locked)`,
    [olderThanDays, atMost],
  )
}

/** Deletes sessions that nobody has been seen in for long and of which no token is left. Answers how many. */
export async function deleteSilentSessions(tx: Tx, { olderThanDays, atMost }: Batch): Promise<number> {
  return await tx.run(
    `
    delete from sessions where id in (
      select id from sessions s
       where last_seen_at < now() - make_interval(days => ?)
         and not exists (select from tokens t where t.session_id = s.id)
         and not exists (select from refresh_tokens r where r.session_id = s.id)
       order by last_seen_at limit ? for update skip locked)`,
    [olderThanDays, atMost],
  )
}

/** Deletes mailed links to accounts that expired long ago. Returns how many. */
export async function deleteExpiredAccountLinks(tx: Tx, { olderThanDays, atMost }: Batch): Promise<number> {
  return await tx.run(
    `
    delete from account_links
     where id in (
             select id
               from account_links
              where expires_at < now() - make_interval(days => ?)
              order by expires_at
              limit ?
                for update skip locked)`,
    [olderThanDays, atMost],
  )
}

/** Deletes invitations that ended long ago, accepted or not. Returns how many. */
export async function deleteEndedInvitations(tx: Tx, { olderThanDays, atMost }: Batch): Promise<number> {
  return await tx.run(
    `
    delete from invitations
     where id in (
             select id
               from invitations
              where expires_at < now() - make_interval(days => ?)
              order by expires_at
              limit ?
                for update skip locked)`,
    [olderThanDays, atMost],
  )
}
