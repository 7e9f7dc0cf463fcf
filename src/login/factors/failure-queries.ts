import type { Tx } from '../../database/connect.js'

/** Whose wrong codes are counted: a user's at login, or those of one session. */
export interface Failing {
  /** The id of the user, or of the session. */
  id: string
  userId: string
  sessionId: string | null
}

/** Wrong codes so far. */
export interface Failures {
  inWindow: number
  inRow: number
  secondsLeft: number
}

const passwordMark = `encode(sha256(convert_to(coalesce(u.password_hash, ''), 'UTF8')), 'hex')`

/**
 * Returns the wrong codes so far, and keeps others from counting until the transaction ends. A window that is
 * over begins anew; a new password begins the row anew.
 */
export async function lockFailures(
  tx: Tx,
  { id, userId, sessionId }: Failing,
  windowSeconds: number,
): Promise<Failures> {
  const [failures] = await tx.rows<Failures>(
    `
    insert into factor_failures as f (id, user_id, session_id, window_ends_at, password_mark)
    select ?::uuid, u.id, ?::uuid, clock_timestamp() + make_interval(secs => ?), ${passwordMark}
      from users u
     where u.id = ?
    on conflict (id) do update
       set in_window = case when f.window_ends_at <= clock_timestamp() then 0 else f.in_window end,
           window_ends_at = case
             when f.window_ends_at <= clock_timestamp() then excluded.window_ends_at
             else f.window_ends_at
           end,
           in_row = case when f.password_mark = excluded.password_mark then f.in_row else 0 end,
           password_mark = excluded.password_mark
    returning in_window as "inWindow",
              in_row as "inRow",
              ceil(extract(epoch from window_ends_at - clock_timestamp()))::int as "secondsLeft"`,
    [id, sessionId, windowSeconds, userId],
  )
  return failures ?? { inWindow: 0, inRow: 0, secondsLeft: windowSeconds }
}

/** Counts a wrong code. */
export async function addFailure(tx: Tx, id: string): Promise<void> {
  await tx.run('update factor_failures set in_window = in_window + 1, in_row = in_row + 1 where id = ?', [id])
}

/** Notes that a user has been proved by a factor: the wrong codes before were not a row. */
export async function endRow(tx: Tx, userId: string): Promise<void> {
  await tx.run('update factor_failures set in_row = 0 where id = ? and in_row > 0', [userId])
}
