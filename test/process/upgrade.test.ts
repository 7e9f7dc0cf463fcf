import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, tokenFor } from '../support/demo.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'
import { programParts } from '../support/project-copy.js'
import { until } from '../support/until.js'

const root = path.resolve(import.meta.dirname, '../..')

/** The next version: this one with a migration more, which adds, as migrations do. */
let next: string
let database: TestDatabase
beforeAll(async () => {
  next = await mkdtemp(path.join(tmpdir(), 'next-version-'))
  for (const name of programParts) await cp(path.join(root, name), path.join(next, name), { recursive: true })
  await symlink(path.join(root, 'node_modules'), path.join(next, 'node_modules'))
  await writeFile(
    path.join(next, 'migrations/20991231_99_next.js'),
    `
    export const up = (knex) => knex.raw(\`
      alter table users add column nickname text;
      create table of_the_next_version (id int);
      grant select on of_the_next_version to gateway_app\`)
    export const down = (knex) => knex.raw('drop table of_the_next_version; alter table users drop column nickname')`,
  )
  database = await createTestDatabase()
}, 60_000)
afterAll(async () => {
  await cleanUpProcesses()
  await database.drop()
  await rm(next, { recursive: true, force: true })
})

it('two versions share one schema: the next migrates, this one restarts, both honour all revocations', async () => {
  const environment = {
    DATABASE_URL: database.url,
    DATABASE_MIGRATION_URL: database.ownerUrl,
    APP_JWT_KEY_SECRET: testSecret,
    SECRET_KEY: testSecret,
    SEED_DEMO: 'true',
    RATE_LIMIT_ADDRESS: 'off',
    RATE_LIMIT_USER: 'off',
    COHERENCE_LEASE_MS: '2000',
  }
  const start = async (from: string) => {
    const gateway = startGatewayProcess({ ...environment, DATA_DIR: await makeDataDir() }, [
      process.execPath,
      path.join(from, 'dist/main.js'),
    ])
    return { ...gateway, url: (await gateway.says(/is ready: (\S+)/))[1] ?? '' }
  }
  const ask = async ({ url }: { url: string }, of: string, token: string, method = 'GET') =>
    (
      await fetch(url + of, {
        method,
        headers: { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme },
      })
    ).status

  const [{ token: alice }, { token: rosa }] = [
    await tokenFor(database, 'alice'),
    await tokenFor(database, 'root'),
  ]
  const old = await start(root)
  const statuses = new Map<number | string, number>()
  const served = new AbortController()
  const load = Array.from({ length: 4 }, async () => {
    while (!served.signal.aborted) {
      const status = await ask(old, '/mandate/members', alice).catch((error: unknown) => String(error))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  })
  const newer = await start(next)
  expect(
    await database.sql(
      `select column_name from information_schema.columns where table_name = 'users' and column_name = 'nickname'`,
    ),
  ).toHaveLength(1)
  await until(() => Promise.resolve((statuses.get(200) ?? 0) > 100 || undefined))
  expect(await ask(newer, '/mandate/members', alice)).toBe(200)
  served.abort()
  await Promise.all(load)
  expect([...statuses.keys()]).toEqual([200])

  for (const [here, there] of [
    [old, newer],
    [newer, old],
  ] as const) {
    const { token, jti } = await tokenFor(database, 'bob')
    expect([await ask(here, '/auth/me', token), await ask(there, '/auth/me', token)]).toEqual([200, 200])
    expect(await ask(here, `/system/tokens/${jti}`, rosa, 'DELETE')).toBe(200)
    expect([await ask(here, '/auth/me', token), await ask(there, '/auth/me', token)]).toEqual([401, 401])
  }

  old.child.kill('SIGKILL')
  await old.ended
  const again = await start(root) // as a supervisor would, before it is its turn
  expect(await ask(again, '/mandate/members', alice)).toBe(200)
  for (const gateway of [again, newer]) {
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
  }
}, 90_000)
