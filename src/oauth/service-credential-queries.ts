import { liveTokens } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'

/** A program's account. */
export interface ServiceAccount {
  id: string
  username: string
  enabled: boolean
  isSysAdmin: boolean
}

const accountColumns = 'id, username, enabled, is_sys_admin as "isSysAdmin"'

/** The service account that calls itself so: by its name or its id. */
export async function findServiceAccount(sql: Sql, clientId: string): Promise<ServiceAccount | undefined> {
  const [account] = await sql.rows<ServiceAccount>(
    `
    select ${accountColumns}
      from users
     where is_service_account and (lower(username) = lower(?) or id::text = lower(?))
     order by lower(username) = lower(?)
     limit 1`,
    [clientId, clientId, clientId],
  )
  return account
}

/** The service account with that id, which stays as it is until the transaction ends. */
export async function lockServiceAccount(tx: Tx, id: string): Promise<ServiceAccount | undefined> {
  const [account] = await tx.rows<ServiceAccount>(
    `select ${accountColumns} from users where id = ? and is_service_account for share`,
    [id],
  )
  return account
}

/** The account's secret with that hash, as long as it is good. */
export async function findSecret(
  sql: Sql,
  userId: string,
  secretHash: string,
): Promise<{ id: string } | undefined> {
  const [secret] = await sql.rows<{ id: string }>(
    `
    select id
      from service_secrets
     where user_id = ? and secret_hash = ? and (expires_at is null or expires_at > now())`,
    [userId, secretHash],
  )
  return secret
}

/** A public key that an account signs assertions with. */
export interface StoredServiceKey {
  id: string
  kid: string
  algorithm: string
  publicJwk: Record<string, unknown>
}

/** The account's keys that are good. */
export async function listGoodKeys(sql: Sql, userId: string): Promise<StoredServiceKey[]> {
  return await sql.rows<StoredServiceKey>(
    `
    select id, kid, algorithm, public_jwk as "publicJwk" from service_keys
     where user_id = ? and (expires_at is null or expires_at > now()) order by created_at desc limit 20`,
    [userId],
  )
}

const tableOf = { secret: 'service_secrets', key: 'service_keys' } as const

/**
 * Notes that a secret or key was used. Answers whether it still is good; until the transaction ends it stays
 * so.
 */
export async function useCredential(tx: Tx, kind: 'secret' | 'key', id: string): Promise<boolean> {
  return (
    (await tx.run(
      `update ${tableOf[kind]} set last_used_at = now() where id = ? and (expires_at is null or expires_at > now())`,
      [id],
    )) > 0
  )
}

/**
 * Notes that a secret was used, once a minute: a resource server may show it with every request of its own.
 * Returns true: it was good when it was found.
 */
export async function noteSecretUse(sql: Sql, id: string): Promise<true> {
  await sql.run(
    `
    update service_secrets
       set last_used_at = now()
     where id = ? and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
    [id],
  )
  return true
}

/**
 * Uses an assertion up, on all nodes. Answers false where it was used before. Forgets some that could not be
 * used any more.
 */
export async function takeAssertion(
  tx: Tx,
  assertion: { userId: string; jtiHash: string; expiresAt: Date },
): Promise<boolean> {
  await tx.run(`
    delete from used_assertions where (user_id, jti_hash) in (
      select user_id, jti_hash
        from used_assertions
       where expires_at < now() - interval '1 minute'
       order by expires_at
       limit 100
         for update skip locked)`)
  return (
    (await tx.run(
      'insert into used_assertions (user_id, jti_hash, expires_at) values (?, ?, ?) on conflict do nothing',
      [assertion.userId, assertion.jtiHash, assertion.expiresAt],
    )) > 0
  )
}

/** Writes when tokens were used last, never backwards. */
export async function stampTokenUses(sql: Sql, uses: (readonly [string, number])[]): Promise<void> {
  await sql.run(
    `
    update tokens t set last_used_at = used.at
      from (select id, to_timestamp(ms / 1000.0) as at from unnest(?::uuid[], ?::float8[]) as u (id, ms)) used
     where t.id = used.id and (t.last_used_at is null or t.last_used_at < used.at)`,
    [uses.map(([id]) => id), uses.map(([, ms]) => String(ms))],
  )
}

/** A secret, a key or an API token, as it is listed. */
export interface Credential {
  id: string
  label: string
  createdAt: Date
  lastUsedAt: Date | null
  expiresAt: Date | null
  /** The admin who made it; null: the command line. */
  createdBy: string | null
}

export type CredentialKind = 'secret' | 'key' | 'token'

const uses = 'last_used_at as "lastUsedAt", expires_at as "expiresAt", created_by as "createdBy"'

const lists: Record<CredentialKind, string> = {
  secret: `
    select id, label, created_at as "createdAt", ${uses}, created_at::text as place
      from service_secrets
     where user_id = ?`,
  key: `
    select id, label, created_at as "createdAt", ${uses}, kid, algorithm, created_at::text as place
      from service_keys
     where user_id = ?`,
  token: `
    select id, coalesce(label, '') as label, issued_at as "createdAt", ${uses}, issued_at::text as place
      from tokens
     where user_id = ? and purpose = 'api_token' and status = 'active'`,
}

/** Credentials of an account, oldest first, each with its place in the list. */
export async function listCredentials(
  sql: Sql,
  kind: CredentialKind,
  userId: string,
  { after, atMost }: { after: (string | null)[] | undefined; atMost: number },
): Promise<(Credential & { place: string })[]> {
  return await sql.rows(
    `
    select * from (${lists[kind]}) as one
     where ?::text is null or ("createdAt", id) > (?::timestamptz, ?::uuid) order by "createdAt", id limit ?`,
    [userId, after?.[0] ?? null, after?.[0] ?? null, after?.[1] ?? null, atMost],
  )
}

/** One credential of an account. */
export async function findCredential(
  sql: Sql,
  kind: CredentialKind,
  userId: string,
  id: string,
): Promise<Credential | undefined> {
  const [found] = await sql.rows<Credential & { place: string }>(
    `select * from (${lists[kind]}) as one where id = ?`,
    [userId, id],
  )
  if (!found) return undefined
  const { place: _place, ...credential } = found
  return credential
}

/** Adds a secret's hash. */
export async function insertSecret(
  tx: Tx,
  {
    userId,
    label,
    secretHash,
    expiresAt,
    createdBy,
  }: { userId: string; label: string; secretHash: string; expiresAt: Date | null; createdBy: string | null },
): Promise<string> {
  return await idOfInserted(
    tx,
    `
    insert into service_secrets (user_id, label, secret_hash, expires_at, created_by)
    values (?, ?, ?, ?, ?)
    returning id`,
    [userId, label, secretHash, expiresAt, createdBy],
  )
}

/** Adds a public key. Rejects with `conflict` where the account has it already. */
export async function insertServiceKey(
  tx: Tx,
  key: {
    userId: string
    label: string
    kid: string
    algorithm: string
    publicJwk: Record<string, unknown>
    expiresAt: Date | null
    createdBy: string | null
  },
): Promise<string> {
  return await idOfInserted(
    tx,
    `
    insert into service_keys (user_id, label, kid, algorithm, public_jwk, expires_at, created_by)
    values (?, ?, ?, ?, ?::jsonb, ?, ?)
    returning id`,
    [
      key.userId,
      key.label,
      key.kid,
      key.algorithm,
      JSON.stringify(key.publicJwk),
      key.expiresAt,
      key.createdBy,
    ],
  )
}

async function idOfInserted(tx: Tx, statement: string, values: Parameters<Sql['rows']>[1]): Promise<string> {
  const [row] = await tx.rows<{ id: string }>(statement, values)
  if (!row) throw new Error('an insert answered no row')
  return row.id
}

/**
 * Removes a secret or key, and revokes the access tokens that were given for it; or revokes an API token.
 * Returns how many tokens count no more.
 */
export async function removeCredential(
  tx: CoherentTx,
  kind: CredentialKind,
  userId: string,
  id: string,
): Promise<number> {
  if (kind !== 'token')
    await tx.run(`delete from ${tableOf[kind]} where id = ? and user_id = ?`, [id, userId])
  return await tx.run(
    `
    update tokens set status = 'revoked', revoked_at = now()
     where user_id = ?
       and ${liveTokens}
       and session_id is null
       and (case when ? then id = ?::uuid and purpose = 'api_token'
                 else label = ? and purpose = 'auth_session' end)`,
    [userId, kind === 'token', id, `${kind}:${id}`],
  )
}
