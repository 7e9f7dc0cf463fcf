import type { Sql, Tx } from '../../database/connect.js'

interface Answered {
  id: string
  userId: string
  expiresAt: Date
}

/** Counts an attempt at a challenge. Returns false where it was spent, or had that many attempts. */
export async function insertAttempt(
  sql: Sql,
  { id, userId, expiresAt, mostAttempts }: Answered & { mostAttempts: number },
): Promise<boolean> {
  const counted = await sql.run(
    `
    insert into factor_challenges as c (id, user_id, expires_at, attempts)
    values (?, ?, ?, 1)
    on conflict (id) do update
       set attempts = c.attempts + 1
     where not c.spent and c.attempts < ?`,
    [id, userId, expiresAt, mostAttempts],
  )
  return counted > 0
}

/** Marks a challenge as spent. Returns false where it was already. */
export async function spendChallenge(tx: Tx, { id, userId, expiresAt }: Answered): Promise<boolean> {
  const spent = await tx.run(
    `
    insert into factor_challenges as c (id, user_id, expires_at, spent)
    values (?, ?, ?, true)
    on conflict (id) do update
       set spent = true
     where not c.spent`,
    [id, userId, expiresAt],
  )
  return spent > 0
}

/** Deletes challenges that could not be answered any more. Returns how many. */
export async function deleteExpiredChallenges(tx: Tx, { atMost }: { atMost: number }): Promise<number> {
  return await tx.run(
    `
    delete from factor_challenges where id in (
      select id
        from factor_challenges
       where expires_at < now() - interval '1 hour'
       order by expires_at
       limit ?
         for update skip locked)`,
    [atMost],
  )
}
