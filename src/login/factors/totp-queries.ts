import type { Sql, Tx } from '../../database/connect.js'

/** Authenticator apps that a user may be about to add at a time. */
const mostPending = 5

interface NewPending {
  id: string
  userId: string
  label: string
  sealedSecret: string
  seconds: number
}

/** Keeps the secret of an authenticator app until a code of it proves that it was taken over. */
export async function insertPendingTotp(tx: Tx, pending: NewPending): Promise<void> {
  const { id, userId, label, sealedSecret, seconds } = pending
  await tx.run(
    `
    delete from pending_totp
     where user_id = ?
       and (expires_at < now()
            or id not in (select id from pending_totp where user_id = ? order by created_at desc limit ?))`,
    [userId, userId, mostPending - 1],
  )
  await tx.run(
    `
    insert into pending_totp (id, user_id, label, sealed_secret, expires_at)
    values (?, ?, ?, ?, now() + make_interval(secs => ?))`,
    [id, userId, label, sealedSecret, seconds],
  )
}

/** Returns an authenticator app that a user is about to add, and keeps it until the transaction ends. */
export async function findPendingTotp(
  tx: Tx,
  id: string,
  userId: string,
): Promise<{ label: string; sealedSecret: string } | undefined> {
  const [pending] = await tx.rows<{ label: string; sealedSecret: string }>(
    `
    select label, sealed_secret as "sealedSecret"
      from pending_totp
     where id = ? and user_id = ? and expires_at > now()
       for update`,
    [id, userId],
  )
  return pending
}

interface NewTotp {
  id: string
  userId: string
  label: string
  sealedSecret: string
  /** The step of the code that confirmed it. */
  lastStep: number
}

/** Makes an authenticator app count, in the place of what was pending. */
export async function insertTotp(
  tx: Tx,
  { id, userId, label, sealedSecret, lastStep }: NewTotp,
): Promise<void> {
  await tx.run('delete from pending_totp where id = ?', [id])
  await tx.run(
    `
    insert into user_factors (id, user_id, kind, label, sealed_secret, last_step)
    values (?, ?, 'totp', ?, ?, ?)`,
    [id, userId, label, sealedSecret, lastStep],
  )
}

/** An authenticator app that counts. */
export interface Totp {
  id: string
  sealedSecret: string
}

/** Lists a user's authenticator apps. */
export async function listTotps(sql: Sql, userId: string): Promise<Totp[]> {
  return await sql.rows<Totp>(
    `
    select id, sealed_secret as "sealedSecret"
      from user_factors
     where user_id = ? and kind = 'totp' and sealed_secret is not null
     order by created_at, id`,
    [userId],
  )
}

/**
 * Notes that a code of a step was accepted. Returns false where that or a later step has been accepted already:
 * of two at once one wins.
 */
export async function useTotpStep(tx: Tx, id: string, step: number): Promise<boolean> {
  const used = await tx.run(
    `
    update user_factors
       set last_step = ?, last_used_at = now()
     where id = ? and (last_step is null or last_step < ?)`,
    [step, id, step],
  )
  return used > 0
}
