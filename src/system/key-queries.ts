import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'

/** A key of access tokens that some node has, or had. */
export interface KnownTokenKey {
  kid: string
  algorithm: string
  firstSeenAt: Date
  retiredAt: Date | null
}

/** Notes keys that no node has had before. */
export async function insertTokenKeys(sql: Sql, keys: { kid: string; algorithm: string }[]): Promise<void> {
  for (const { kid, algorithm } of keys)
    await sql.run('insert into token_keys (kid, algorithm) values (?, ?) on conflict do nothing', [
      kid,
      algorithm,
    ])
}

/** All keys of access tokens that nodes have had, newest first. */
export async function listTokenKeys(sql: Sql): Promise<KnownTokenKey[]> {
  return await sql.rows<KnownTokenKey>(
    `
    select kid, algorithm, first_seen_at as "firstSeenAt", retired_at as "retiredAt"
      from token_keys
     order by first_seen_at desc, kid`,
  )
}

/** Retires a key for good. Doing so again changes nothing, and is waited for all the same. */
export async function retireTokenKey(
  tx: CoherentTx,
  { kid, algorithm }: { kid: string; algorithm: string },
): Promise<void> {
  await tx.run(
    `
    insert into token_keys (kid, algorithm, retired_at) values (?, ?, now())
    on conflict (kid) do update set retired_at = now()`,
    [kid, algorithm],
  )
}
