import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { startLine, type Line } from '../faults/support/line.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { until } from '../support/until.js'

const poolSize = 3
const timeLimitMs = 5000

describe('the pool of connections', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterAll(async () => {
    await database.drop()
  })

  const one = async (pool: Database) => (await pool.rows<{ one: number }>('select 1 as one'))[0]?.one
  const inTransaction = (pool: Database) =>
    pool.transaction((tx) => tx.rows<{ one: number }>('select 1 as one')).then((rows) => rows[0]?.one)
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'none',
      (error: unknown) => (error as { code?: unknown }).code,
    )
  /** As many statements at a time as there are connections: each has one. */
  const onEach = <Result>(work: () => Promise<Result>) => Promise.all(Array.from({ length: poolSize }, work))

  async function withLine(work: (pool: Database, line: Line) => Promise<void>): Promise<void> {
    const line = await startLine(database.url)
    const pool = connectDatabase({ url: line.url, setRole: false, poolSize })
    try {
      await onEach(() => pool.run('select pg_sleep(0.05)'))
      await work(pool, line)
    } finally {
      await line.stop()
      await pool.close()
    }
  }

  it(
    'fails statements within their time where connections went silent, and serves later ones by new ones',
    () =>
      Promise.all(
        [one, inTransaction].map((ask) =>
          withLine(async (pool, line) => {
            line.blackHole()
            line.healNewOnly() // connections of before hear nothing any more, new ones are relayed
            const since = performance.now()
            expect(await onEach(() => codeOf(ask(pool)))).toEqual(
              Array.from({ length: poolSize }, () => 'directory_unavailable'),
            )
            expect(performance.now() - since).toBeLessThan(timeLimitMs + 3000)

            const healedAt = performance.now()
            for (let round = 0; round < 3; round += 1)
              expect(await onEach(() => ask(pool))).toEqual(Array.from({ length: poolSize }, () => 1))
            expect(performance.now() - healedAt).toBeLessThan(timeLimitMs - 1000)
          }),
        ),
      ),
    20_000,
  )

  it('replaces connections that were broken', () =>
    withLine(async (pool, line) => {
      line.reset()
      await onEach(() => codeOf(one(pool))) // some may find out only now
      expect(await onEach(() => one(pool))).toEqual(Array.from({ length: poolSize }, () => 1))
    }))

  it('gives a statement five seconds, and its connection to the next', async () => {
    const pool = connectDatabase({ url: database.url, setRole: false, poolSize: 1 })
    try {
      const since = performance.now()
      expect(await codeOf(pool.rows('select pg_sleep(30)'))).toBe('directory_unavailable')
      const took = performance.now() - since
      expect([took > timeLimitMs - 500, took < timeLimitMs + 3000]).toEqual([true, true])
      expect(await one(pool)).toBe(1)
      await until(
        async () =>
          (
            await database.sql(
              `select 1
                from pg_stat_activity
                where query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()`,
            )
          ).length === 0 || undefined,
      )
    } finally {
      await pool.close()
    }
  }, 20_000)

  it('reports bad values as the caller’s fault, with their place, and its own faults as try again later', async () => {
    const pool = connectDatabase({ url: database.url, setRole: false, poolSize: 1 })
    try {
      const refused = await pool.rows('select ?::uuid', ['no uuid']).catch((error: unknown) => error)
      expect(refused).toMatchObject({
        code: 'validation_failed',
        errors: [{ path: '', message: expect.any(String) }],
      })
      expect(await codeOf(pool.rows('select 1 from no_such_table'))).toBe('directory_unavailable')
      expect(await codeOf(pool.transaction((tx) => tx.rows('select 1 from no_such_table')))).toBe(
        'directory_unavailable',
      )
      expect(await one(pool)).toBe(1)
    } finally {
      await pool.close()
    }
  })
})
