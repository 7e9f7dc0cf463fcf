import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { liveTokens } from '../authentication/end-queries.js'
import type { Proven } from './proven.js'

/** Returns whether a session, which is locked, and the token that proves again go on, of an enabled user. */
export async function isSessionLive(
  tx: CoherentTx,
  { sessionId, tokenId }: { sessionId: string; tokenId: string },
): Promise<boolean> {
  const live = await tx.rows(
    `
    select
      from sessions s
      join users u on u.id = s.user_id
      join tokens t on t.session_id = s.id
     where s.id = ? and s.ended_at is null and u.enabled
       and t.id = ? and t.status = 'active'`,
    [sessionId, tokenId],
  )
  return live.length > 0
}

const ms = (column: string) => `extract(epoch from ${column})::float8 * 1000`

/** Lets the tokens of a session keep the proof that they have, before it is proved again. */
export async function keepProofs(tx: CoherentTx, sessionId: string): Promise<void> {
  await tx.run(
    `
    update tokens
       set kept_proof = jsonb_build_object(
             'authTimeMs', ${ms('s.auth_time')},
             'mfaAtMs', ${ms('s.mfa_at')},
             'phrAtMs', ${ms('s.phr_at')},
             'amr', to_jsonb(s.amr)
           )
      from sessions s
     where s.id = tokens.session_id and s.id = ? and kept_proof is null and ${liveTokens}`,
    [sessionId],
  )
}

/** Stamps a session with a new proof, by the database's clock. */
export async function stampProof(tx: CoherentTx, sessionId: string, proven: Proven): Promise<void> {
  await tx.run(
    `
    with proved as materialized (
           select coalesce(least(?::timestamptz, clock_timestamp()), clock_timestamp()) as at
         )
    update sessions
       set auth_time = case when ?::boolean then proved.at else auth_time end,
           mfa_at = case when ?::boolean then proved.at else mfa_at end,
           phr_at = case when ?::boolean then proved.at else phr_at end,
           amr = array(select distinct method from unnest(amr || ?::text[]) as method order by method),
           last_seen_at = now()
      from proved
     where id = ?`,
    [proven.at ?? null, proven.authTime, proven.mfa, proven.phr, [...proven.amr], sessionId],
  )
}

/** Spends the refresh tokens of a session without a successor: what its tabs hold, counts no more. */
export async function spendRefreshTokens(tx: CoherentTx, sessionId: string): Promise<void> {
  await tx.run(
    'update refresh_tokens set spent_at = clock_timestamp() where session_id = ? and spent_at is null',
    [sessionId],
  )
}
