import type { Sql, Tx } from '../../database/connect.js'
import type { StoredPasskey } from './passkeys.js'

const columns = `
           id, user_id as "userId", credential_id as "credentialId", public_key as "publicKey",
           sign_count::float8 as "signCount", transports`

/** A passkey that counts, and whose it is. */
export interface OwnedPasskey extends StoredPasskey {
  id: string
  userId: string
}

/** Lists a user's passkeys. */
export async function listPasskeys(sql: Sql, userId: string): Promise<OwnedPasskey[]> {
  return await sql.rows<OwnedPasskey>(
    `
    select ${columns}
      from user_factors
     where user_id = ? and kind = 'passkey'
     order by created_at, id`,
    [userId],
  )
}

/** Returns the passkey with that credential id, of a person. */
export async function findPasskey(sql: Sql, credentialId: string): Promise<OwnedPasskey | undefined> {
  const [passkey] = await sql.rows<OwnedPasskey>(
    `
    select ${columns}
      from user_factors
     where credential_id = ? and kind = 'passkey'`,
    [credentialId],
  )
  return passkey
}

/** Adds a passkey. Returns false where its credential is known already, of whomever. */
export async function insertPasskey(
  tx: Tx,
  { id, userId, label, ...passkey }: OwnedPasskey & { label: string },
): Promise<boolean> {
  const made = await tx.run(
    `
    insert into user_factors (id, user_id, kind, label, credential_id, public_key, sign_count, transports)
    values (?, ?, 'passkey', ?, ?, ?, ?, ?::text[])
    on conflict (credential_id) do nothing`,
    [id, userId, label, passkey.credentialId, passkey.publicKey, passkey.signCount, passkey.transports],
  )
  return made > 0
}

/**
 * Notes that a passkey was used. Returns false where its counter did not rise meanwhile, or it was removed: of
 * two answers with one counter one wins.
 */
export async function usePasskey(tx: Tx, id: string, signCount: number): Promise<boolean> {
  const used = await tx.run(
    `
    update user_factors
       set sign_count = ?, last_used_at = now()
     where id = ? and (sign_count < ? or (sign_count = 0 and ? = 0))`,
    [signCount, id, signCount, signCount],
  )
  return used > 0
}
