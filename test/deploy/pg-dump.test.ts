import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '#embedded-postgres'
import { withMigrator } from '../../src/database/migrate.js'
import { createPasswords } from '../../src/login/password.js'
import { jsonOf, runCli } from '../support/cli.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'
import { runToEnd } from '../support/proxy-process.js'

/** The folder of the Postgres that the system has, for its pg_dump goes with no other. */
async function systemPostgres(): Promise<string> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => [])
  const newest = versions.sort((one, other) => Number(other) - Number(one))[0]
  if (newest === undefined)
    throw new Error('This test runs the real pg_dump, which is not installed: apt-get install postgresql')
  return path.join('/usr/lib/postgresql', newest)
}

describe('the backup that docs/operating.md documents, by an owner who is no superuser', () => {
  let folder: string
  let native: string
  let postgres: EmbeddedPostgres
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'pg-dump-'))
    native = await systemPostgres()
    const binaries = path.join(folder, 'system')
    await mkdir(binaries)
    await symlink(native, path.join(binaries, 'native'))
    await writeFile(
      path.join(binaries, 'package.json'),
      JSON.stringify({ name: 'system-postgres', version: path.basename(native) }),
    )
    postgres = await startEmbeddedPostgres({
      dataDir: path.join(folder, 'data'),
      durable: false,
      log: () => undefined,
      binaries,
    })
    const superuser = new pg.Client(postgres.ownerUrl)
    await superuser.connect()
    await superuser.query(`create role gwowner login nosuperuser nobypassrls password 'owner'`)
    for (const name of ['before', 'after']) await superuser.query(`create database ${name} owner gwowner`)
    await superuser.end()
  }, 120_000)
  afterEach(cleanUpProcesses)
  afterAll(async () => {
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const named = (url: string, change: Partial<URL>) => Object.assign(new URL(url), change).href
  const ownerOf = (database: string) =>
    named(postgres.ownerUrl, { pathname: `/${database}`, username: 'gwowner', password: 'owner' })
  const environmentOf = (database: string) => ({
    DATABASE_URL: named(postgres.url, { pathname: `/${database}` }),
    DATABASE_MIGRATION_URL: ownerOf(database),
    APP_JWT_KEY_SECRET: testSecret,
    SECRET_KEY: `${testSecret}-portal`,
    SEED_DEMO: 'false',
  })
  const countsOf = async (database: string) => {
    const client = new pg.Client(ownerOf(database))
    await client.connect()
    const { rows: tables } = await client.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
    )
    const counts: Record<string, number> = {}
    for (const { name } of tables)
      counts[name] = (
        await client.query<{ n: number }>(`select count(*)::int as n from ${client.escapeIdentifier(name)}`)
      ).rows[0]!.n
    await client.end()
    return counts
  }

  it('dumps everything, restores it, and a gateway starts on it', async () => {
    await withMigrator(ownerOf('before'), async (migrator) => {
      await migrator.up()
      await migrator.seedDemo(createPasswords().hash)
    })
    const file = path.join(folder, 'gateway.dump')
    const program = (name: string) => path.join(native, 'bin', name)
    expect(
      await runToEnd(program('pg_dump'), [
        '--enable-row-security',
        '--format=custom',
        `--file=${file}`,
        ownerOf('before'),
      ]),
    ).toEqual({ code: 0, output: '' })
    expect(
      await runToEnd(program('pg_restore'), [
        '--exit-on-error',
        '--no-owner',
        `--dbname=${ownerOf('after')}`,
        file,
      ]),
    ).toEqual({ code: 0, output: '' })
    const before = await countsOf('before')
    expect(before.users).toBe(9)
    expect(await countsOf('after')).toEqual(before)

    const gateway = startGatewayProcess({ DATA_DIR: await makeDataDir(), ...environmentOf('after') })
    const url = await gateway.url()
    const login = await fetch(`${url}/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"username":"alice","password":"demo-password-1"}',
    })
    expect(login.status).toBe(200)
    const doctor = await runCli(['doctor', '--json'], environmentOf('after'))
    expect(jsonOf(doctor)).toMatchObject({ faults: 0 })
    expect(jsonOf(doctor).findings).toContainEqual({
      check: 'backup',
      level: 'ok',
      says: 'pg_dump as gwowner needs --enable-row-security',
    })
  }, 120_000)

  it('without --enable-row-security pg_dump ends with an error, which is why the page names it', async () => {
    const dumped = await runToEnd(path.join(native, 'bin', 'pg_dump'), [
      '--format=custom',
      `--file=${path.join(folder, 'half.dump')}`,
      ownerOf('before'),
    ])
    expect(dumped).toMatchObject({ code: 1, output: expect.stringContaining('row-level security') })
  })
})
