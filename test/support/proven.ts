import type { TestDatabase } from './database.js'
import { tokenFor, type DemoUser } from './demo.js'

/** How a session was proved, in seconds before now; null for never. */
export interface Proved {
  createdAgo?: number
  authAgo?: number | null
  mfaAgo?: number | null
  phrAgo?: number | null
  usedAgo?: number | null
  amr?: string[]
}

const before = (seconds: number | null | undefined) =>
  seconds === null || seconds === undefined ? null : new Date(Date.now() - seconds * 1000)

/** Signs a demo user in with a session that was proved so, and a token that was issued just now. */
export async function provenToken(
  database: TestDatabase,
  user: DemoUser,
  { createdAgo = 1, authAgo = createdAgo, mfaAgo, phrAgo, usedAgo, amr = ['pwd'] }: Proved = {},
): Promise<{ token: string; jti: string; sid: string; headers: { Authorization: string } }> {
  const made = await tokenFor(database, user)
  await database.sql(
    `update sessions
        set created_at = $2, auth_time = $3, mfa_at = $4, phr_at = $5, last_used_at = $6, amr = $7
      where id = $1`,
    [made.sid, before(createdAgo), before(authAgo), before(mfaAgo), before(phrAgo), before(usedAgo), amr],
  )
  return { ...made, headers: { Authorization: `Bearer ${made.token}` } }
}

/** Writes the policy of a mandate by plain SQL, in place of the one before. */
export async function setPolicy(
  database: TestDatabase,
  mandateId: string,
  policy: {
    factor?: string
    maxAge?: number
    idle?: number
    sessionAge?: number
    addresses?: string[]
    items?: object[]
  },
): Promise<void> {
  await database.sql('delete from mandate_policies where mandate_id = $1', [mandateId])
  await database.sql(
    `insert into mandate_policies (mandate_id, factor, max_age, idle, session_age, addresses, items)
      values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      mandateId,
      policy.factor ?? null,
      policy.maxAge ?? null,
      policy.idle ?? null,
      policy.sessionAge ?? null,
      policy.addresses ?? [],
      JSON.stringify(policy.items ?? []),
    ],
  )
}
