import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'

/**
 * Any fixed number: whoever makes, uses or voids setup links holds the lock of that number until its
 * transaction ends.
 */
const setupLock = 7_162_030

/** Nodes that start together do not take each other's link away: each has printed its own. */
const togetherSeconds = 60

/** Also those who are disabled: whoever can undo that is no stranger. */
const noAdmin = 'not exists (select from users where is_sys_admin or is_platform_admin)'

/** Waits until nobody else is at the links, and sees what they have done. */
export async function lockSetup(tx: Tx): Promise<void> {
  await tx.rows('select pg_advisory_xact_lock(?)', [setupLock])
}

/** Which links a new one replaces: all of them, or those that other nodes are not printing at this moment. */
export type Replacing = 'all' | 'earlier'

/** Writes a link, as long as there is no admin, or with `earlier` nobody at all. Answers when it ends. */
export async function insertSetupLink(
  tx: Tx,
  link: { tokenHash: string; hours: number; replacing: Replacing },
): Promise<Date | undefined> {
  await lockSetup(tx)
  await tx.run(
    `delete from setup_links where ?::boolean or created_at < now() - make_interval(secs => ?) or expires_at < now()`,
    [link.replacing === 'all', togetherSeconds],
  )
  const [row] = await tx.rows<{ expiresAt: Date }>(
    `
    insert into setup_links (token_hash, expires_at)
    select ?, now() + make_interval(hours => ?) where ${link.replacing === 'all' ? noAdmin : 'not exists (select from users)'}
    returning expires_at as "expiresAt"`,
    [link.tokenHash, link.hours],
  )
  return row?.expiresAt
}

/** Whether the link works. */
export async function isSetupLink(sql: Sql, tokenHash: string): Promise<boolean> {
  return (
    (
      await sql.rows(`select from setup_links where token_hash = ? and expires_at > now() and ${noAdmin}`, [
        tokenHash,
      ])
    ).length > 0
  )
}

/** Voids all links; for whoever has locked them. */
export async function voidSetupLinks(tx: CoherentTx): Promise<void> {
  await tx.run('delete from setup_links')
}

/** Uses a link up, and all others with it. Answers whether it worked: of several at once one does. */
export async function takeSetupLink(tx: CoherentTx, tokenHash: string): Promise<boolean> {
  await lockSetup(tx)
  const works = await isSetupLink(tx, tokenHash)
  if (works) await voidSetupLinks(tx)
  return works
}

/** Writes the first admin, of both levels. Undefined where the name is taken. */
export async function insertFirstAdmin(
  tx: CoherentTx,
  { username, fullName, passwordHash }: { username: string; fullName: string | null; passwordHash: string },
): Promise<string | undefined> {
  const [row] = await tx.rows<{ id: string }>(
    `
    insert into users (username, full_name, password_hash, is_sys_admin, is_platform_admin) values (?, ?, ?, true, true)
    on conflict (username) do nothing returning id`,
    [username, fullName, passwordHash],
  )
  return row?.id
}
