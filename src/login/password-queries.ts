import { withdrawLinksOf } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'

/** The kinds of hashes that are stored (algorithm and parameters), and how many accounts have one of each. */
export async function listHashKinds(sql: Sql): Promise<{ kind: string; accounts: number }[]> {
  return await sql.rows<{ kind: string; accounts: number }>(`
    select kind, count(*)::int as accounts
      from (select (regexp_match(password_hash, '^([$]argon2(id|i|d)[$]v=[0-9]+[$]m=[0-9]{1,7},t=[0-9]{1,3},p=[0-9]{1,2}|[$]2[abxy][$](0[4-9]|1[0-5]))[$]'))[1] as kind from users) as stored
     where kind is not null
     group by kind
     order by kind`)
}

/**
 * Stores another hash of the same password. Answers whether the password still is the one that was checked.
 */
export async function improvePasswordHash(
  sql: Sql,
  userId: string,
  { from, to }: { from: string; to: string },
): Promise<boolean> {
  return (
    (await sql.run('update users set password_hash = ? where id = ? and password_hash = ?', [
      to,
      userId,
      from,
    ])) > 0
  )
}

/**
 * Replaces a password that still is the one that was checked, and withdraws links to set one. Answers whether
 * it was. Identities are unlinked unless they are to be kept: somebody who knew the old password may have
 * linked one of their own.
 */
export async function replacePasswordHash(
  tx: CoherentTx,
  userId: string,
  { from, to, keepIdentities }: { from: string | null; to: string; keepIdentities: boolean },
): Promise<boolean> {
  const replaced = await tx.run('update users set password_hash = ? where id = ? and password_hash = ?', [
    to,
    userId,
    from,
  ])
  await withdrawLinksOf(tx, userId)
  if (!keepIdentities) await tx.run('delete from user_identities where user_id = ?', [userId])
  return replaced > 0
}
