import type { Sql } from '../database/connect.js'

/** A key as it is stored. Its private part can be opened with the secret only. */
export interface StoredIdentityKey {
  kid: string
  /** A compact JWE (RFC 7516). */
  sealedPrivateKey: string
  /** By the database's clock, which is one for all nodes. */
  ageSeconds: number
  createdAt: Date
}

/**
 * Any fixed number. A process that may create a key holds the lock of this number until its transaction ends.
 */
const identityKeysLock = 7_162_002

/** All keys, newest first. */
export async function listIdentityKeys(sql: Sql): Promise<StoredIdentityKey[]> {
  return await sql.rows<StoredIdentityKey>(`
    select kid,
           sealed_private_key as "sealedPrivateKey",
           extract(epoch from now() - created_at)::float8 as "ageSeconds",
           created_at as "createdAt"
      from identity_keys
     order by created_at desc, kid`)
}

/** Waits until no other node is making a key. Ends with the transaction. */
export async function lockIdentityKeys(tx: Sql): Promise<void> {
  await tx.rows('select pg_advisory_xact_lock(?)', [identityKeysLock])
}

/** Adds a key, as old as its transaction. */
export async function insertIdentityKey(
  tx: Sql,
  key: { kid: string; publicJwk: object; sealedPrivateKey: string },
): Promise<void> {
  await tx.run('insert into identity_keys (kid, public_jwk, sealed_private_key) values (?, ?::jsonb, ?)', [
    key.kid,
    JSON.stringify(key.publicJwk),
    key.sealedPrivateKey,
  ])
}

/** Deletes a key. Returns whether it existed. */
export async function deleteIdentityKey(sql: Sql, kid: string): Promise<boolean> {
  return (await sql.run('delete from identity_keys where kid = ?', [kid])) > 0
}

/** Deletes keys of that age, if a newer one has signed in their place for long enough. Returns how many. */
export async function deleteOldIdentityKeys(
  sql: Sql,
  { olderThanSeconds, successorSeconds }: { olderThanSeconds: number; successorSeconds: number },
): Promise<number> {
  return await sql.run(
    `
    delete from identity_keys old
     where old.created_at < now() - make_interval(secs => ?)
       and exists (select from identity_keys newer
                    where newer.created_at > old.created_at
                      and newer.created_at < now() - make_interval(secs => ?))`,
    [olderThanSeconds, successorSeconds],
  )
}
