import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { forgetOldLogins } from '../../src/login/retention.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { users } from '../support/demo.js'

describe('old logins', () => {
  let database: TestDatabase
  let pool: Database
  beforeAll(async () => {
    database = await createTestDatabase()
    pool = connectDatabase({ url: database.url, setRole: false })
  })
  beforeEach(async () => {
    await database.sql('delete from sessions where true')
  })
  afterAll(async () => {
    await pool.close()
    await database.drop()
  })

  const count = async (table: string) =>
    (await database.sql<{ count: number }>(`select count(*)::int from ${table}`))[0]!.count
  /**
   * Sessions that were last seen so many days ago, each with an access token and a refresh token that expired
   * then.
   */
  const insert = (days: number, sessions = 1, purpose = 'auth_session') =>
    database.sql(
      `
    with made as (insert into sessions (user_id, authority, created_at, last_seen_at)
                  select $1, 'local', now() - make_interval(days => $2), now() - make_interval(days => $2)
                    from generate_series(1, $3)
                    returning id),
         access as (
             insert into tokens (user_id, authority, purpose, session_id, expires_at)
             select $1, 'local', $4, id, now() - make_interval(days => $2)
             from made
           )
    insert into refresh_tokens (token_hash, session_id, expires_at)
      select encode(sha256(id::text::bytea), 'hex'), id, now() - make_interval(days => $2)
      from made`,
      [users.alice, days, sessions, purpose],
    )

  it('removes tokens a week after they expired, sessions a month after the last use, nothing earlier', async () => {
    for (const days of [0, 6, 8, 29, 31]) await insert(days)
    expect(await forgetOldLogins(pool)).toBe(3 + 3 + 1)
    expect([await count('tokens'), await count('refresh_tokens'), await count('sessions')]).toEqual([2, 2, 4])
  })

  it('a spent refresh token is kept as long as it would have been good, so that its reuse is known', async () => {
    await insert(0)
    await database.sql(
      `update refresh_tokens set spent_at = now() - interval '6 days', expires_at = now() + interval '1 day'`,
    )
    await forgetOldLogins(pool)
    expect(await count('refresh_tokens')).toBe(1)
  })

  it('tokens of other purposes stay, and so do their sessions', async () => {
    await insert(400, 1, 'api_token')
    await insert(400, 1, 'data_connection')
    await forgetOldLogins(pool)
    expect([await count('tokens'), await count('refresh_tokens'), await count('sessions')]).toEqual([2, 0, 2])
  })

  it('many go in batches of which none makes the nodes forget everything', async () => {
    await insert(60, 450)
    const [before] = await database.sql<{ count: number }>('select count(*)::int from coherence.changes')
    expect(await forgetOldLogins(pool)).toBe(3 * 450)
    const [after] = await database.sql<{ count: number; all: number }>(
      `select count(*)::int, count(*) filter (where key = '*')::int as all from coherence.changes`,
    )
    expect(after).toEqual({ count: before!.count + 3, all: 0 })
  })

  it('go by one node at a time: another one leaves them alone meanwhile', async () => {
    await insert(60)
    await pool.transaction(async (tx) => {
      await tx.rows('select pg_advisory_xact_lock(7162010)')
      expect(await forgetOldLogins(pool)).toBe(0)
    })
    expect(await forgetOldLogins(pool)).toBe(3)
  })
})
