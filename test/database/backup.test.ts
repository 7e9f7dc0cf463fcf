import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, expect, it } from '@jest/globals'
import pg from 'pg'
import { checkpointKeys } from '../../src/audit/checkpoint.js'
import { verifyChain } from '../../src/audit/verify-chain.js'
import { connectDatabase } from '../../src/database/connect.js'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '#embedded-postgres'
import { withMigrator } from '../../src/database/migrate.js'
import { createPasswords } from '../../src/login/password.js'
import { runCli } from '../support/cli.js'
import type { TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'
import { cleanUpProcesses, makeDataDir } from '../support/gateway-process.js'

const opened: pg.Pool[] = []
afterAll(cleanUpProcesses)

function asTestDatabase({ url, ownerUrl }: EmbeddedPostgres): TestDatabase {
  const pool = new pg.Pool({ connectionString: ownerUrl, max: 2 })
  pool.on('error', () => undefined)
  opened.push(pool)
  return {
    url,
    ownerUrl,
    sql: async <Row>(statement: string, values: unknown[] = []) =>
      (await pool.query(statement, values)).rows as Row[],
    drop: () => Promise.resolve(),
  }
}

const me = async ({ url }: TestGateway, token: string) =>
  (await fetch(`${url}/auth/me`, { headers: { Authorization: `Bearer ${token}` } })).status
const logIn = async ({ url }: TestGateway) =>
  (
    await fetch(`${url}/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username: 'alice', password: 'demo-password-1' }),
    })
  ).status

it('a backup of a running gateway starts elsewhere: people sign in, the chain holds, revocations count', async () => {
  const dataDir = await makeDataDir()
  const restored = path.join(await makeDataDir(), 'restored')
  const run = (args: string[], DATA_DIR: string) =>
    runCli(args, { DATA_DIR, APP_JWT_KEY_SECRET: testSecret, SECRET_KEY: testSecret })
  const postgres = await startEmbeddedPostgres({ dataDir, durable: false, log: () => undefined })
  await withMigrator(postgres.ownerUrl, async (migrator) => {
    await migrator.up()
    await migrator.seedDemo(createPasswords().hash)
  })
  const database = asTestDatabase(postgres)
  const gateway = await startTestGateway({ database })
  const [kept, revoked] = [await tokenFor(database, 'bob'), await tokenFor(database, 'alice')]
  const written = new AbortController()
  const writing = (async () => {
    while (!written.signal.aborted)
      await database.sql(`insert into audit_events (action) values ('written meanwhile')`)
  })()
  expect(await run(['backup', restored], dataDir)).toMatchObject({ code: 0, stderr: '' })
  written.abort()
  await writing
  // it replaces nothing
  expect(await run(['backup', restored], dataDir)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is there already'),
  })
  const client = new pg.Client({ connectionString: postgres.ownerUrl })
  await client.connect()
  // as of another backup under way
  await client.query(`select pg_create_physical_replication_slot('gateway_backup', true, true)`)
  expect((await run(['backup', `${restored}-second`], dataDir)).code).toBe(1)
  await client.end()
  expect(existsSync(`${restored}-second`)).toBe(false) // and nothing half
  await database.sql(`update tokens set status = 'revoked' where id = $1`, [revoked.jti])
  expect(await me(gateway, revoked.token)).toBe(401)
  await gateway.stop()
  for (const pool of opened.splice(0)) await pool.end()
  await postgres.stop()

  expect((await stat(path.join(restored, 'postgres'))).mode & 0o777).toBe(0o700)
  const again = await startEmbeddedPostgres({ dataDir: restored, durable: false, log: () => undefined })
  const copy = asTestDatabase(again)
  const second = await startTestGateway({ database: copy })
  try {
    expect([await logIn(second), await me(second, kept.token), await me(second, revoked.token)]).toEqual([
      200, 200, 200,
    ])
    const pool = connectDatabase({ url: again.url, setRole: false })
    expect((await verifyChain({ sql: pool, keys: checkpointKeys({ secret: testSecret }) })).faults).toEqual(
      [],
    )
    await pool.close()
    expect(await run(['token', 'revoke', '--all'], restored)).toMatchObject({ code: 0, stderr: '' })
    expect([await me(second, kept.token), await me(second, revoked.token), await logIn(second)]).toEqual([
      401, 401, 200,
    ])
  } finally {
    await second.stop()
    for (const pool of opened.splice(0)) await pool.end()
    await again.stop()
  }
}, 90_000)
