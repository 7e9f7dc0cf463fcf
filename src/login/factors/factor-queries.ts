import type { CoherentTx } from '../../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../../database/connect.js'

export type FactorKind = 'totp' | 'passkey'

/** A second factor as its owner sees it. */
export interface Factor {
  id: string
  kind: FactorKind
  label: string
  createdAt: Date
  lastUsedAt: Date | null
}

const shown = 'id, kind, label, created_at as "createdAt", last_used_at as "lastUsedAt"'

/** Lists a user's factors, oldest first. */
export async function listFactors(sql: Sql, userId: string): Promise<Factor[]> {
  return await sql.rows<Factor>(
    `select ${shown} from user_factors where user_id = ? order by created_at, id`,
    [userId],
  )
}

/** Returns the factor with that id, if it is the user's. */
export async function findFactor(sql: Sql, id: string, userId: string): Promise<Factor | undefined> {
  const [factor] = await sql.rows<Factor>(`select ${shown} from user_factors where id = ? and user_id = ?`, [
    id,
    userId,
  ])
  return factor
}

/** What an account can be proved by. */
export interface Enrolled {
  isServiceAccount: boolean
  hasPassword: boolean
  kinds: FactorKind[]
}

/** Returns what a user can be proved by; undefined without such a user. */
export async function findEnrolled(sql: Sql, userId: string): Promise<Enrolled | undefined> {
  const [enrolled] = await sql.rows<Enrolled>(
    `
    select u.is_service_account as "isServiceAccount",
           u.password_hash is not null as "hasPassword",
           array(select distinct f.kind from user_factors f where f.user_id = u.id order by 1 desc) as kinds
      from users u
     where u.id = ?`,
    [userId],
  )
  return enrolled
}

/** Keeps a user as they are until the transaction ends, and their sessions and factors with them. */
export async function lockFactorOwner(tx: Tx, userId: string): Promise<void> {
  await tx.rows('select from users where id = ? for update', [userId])
}

/** Returns whether a factor still is there: the user's row is locked by the login that rests on it. */
export async function isFactorThere(tx: Tx, userId: string, factorId: string | undefined): Promise<boolean> {
  const found = await tx.rows(
    'select from user_factors where user_id = ? and (?::uuid is null or id = ?::uuid) limit 1',
    [userId, factorId ?? null, factorId ?? null],
  )
  return found.length > 0
}

/** Removes a factor. */
export async function deleteFactor(tx: CoherentTx, id: string): Promise<void> {
  await tx.run('delete from user_factors where id = ?', [id])
}
