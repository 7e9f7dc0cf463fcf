import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { jsonOf, runCli } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { testSecret } from '../support/gateway.js'
import { createOldSide, mappingFile, type OldSide } from '../support/old-side.js'

/** People, each with a membership, its role and a token; 100000 for the figure of docs/moving-in.md. */
const people = Number(process.env.IMPORT_PEOPLE ?? 5000)

let old: OldSide
let database: TestDatabase
beforeAll(async () => {
  ;[old, database] = [await createOldSide(), await createTestDatabase('template_empty')]
  const {
    ids: { north, editor },
  } = old
  const id = (digit: number) => `lpad(to_hex(n), 8, '0') || '-0000-4000-8000-00000000000${digit}'`
  const rows = `from generate_series(1, ${people}) as n`
  await old.database.sql(
    `insert into "UserInDB" (id, username, email, "hashedPassword")
      select ${id(1)}, 'Person.' || n, n || '@example.com', '$2b$10$' || rpad(md5(n::text), 53, 'x') ${rows}`,
  )
  await old.database.sql(`insert into "UserMandate" select ${id(2)}, ${id(1)}, '${north}' ${rows}`)
  await old.database.sql(`insert into "UserMandateRole" select ${id(3)}, ${id(2)}, '${editor}' ${rows}`)
  await old.database.sql(
    `insert into "Token" (id, "userId", authority, status, "expiresAt")
      select ${id(4)}, ${id(1)}, 'local', 'active', extract(epoch from now()) + 86400 ${rows}`,
  )
}, 120_000)
afterAll(async () => {
  await old.drop()
  await database.drop()
})

it('takes many people in one transaction, by a memory that does not grow with them', async () => {
  const environment = {
    DATABASE_URL: database.url,
    DATABASE_MIGRATION_URL: database.ownerUrl,
    APP_JWT_KEY_SECRET: testSecret,
    SECRET_KEY: `${testSecret}-portal`,
    OLD_DATABASE_URL: old.database.ownerUrl,
    NODE_OPTIONS: '--max-old-space-size=64', // all of them at once would not fit
  }
  expect((await runCli(['migrate'], environment)).code).toBe(0)
  const made = await runCli(['import', mappingFile, '--json'], environment)
  expect([made.code, made.stderr]).toEqual([0, ''])
  const { kinds, seconds } = jsonOf<{ kinds: Record<string, { made: number }>; seconds: number }>(made)
  expect([
    kinds.users?.made,
    kinds.user_mandates?.made,
    kinds.user_mandate_roles?.made,
    kinds.tokens?.made,
  ]).toEqual([people + 2, people + 2, people + 1, people])
  const again = jsonOf<{
    kinds: Record<string, { unchanged: number; made: number; updated: number }>
    seconds: number
  }>(await runCli(['import', mappingFile, '--json'], environment))
  expect(again.kinds.users).toMatchObject({ unchanged: people + 2, made: 0, updated: 0 })
  process.stdout.write(`${people} people: ${seconds} s, and ${again.seconds} s when nothing had changed\n`)
}, 600_000)
