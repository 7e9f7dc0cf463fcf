import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { connectDatabase } from '../../src/database/connect.js'
import { makeCertificate } from '../support/certificate.js'
import { runCli, jsonOf } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates } from '../support/demo.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'
import { startPgbouncer, type Pooler } from '../support/pgbouncer.js'
import { until } from '../support/until.js'

describe('PgBouncer in transaction mode, with its default settings', () => {
  let database: TestDatabase
  let pooler: Pooler
  beforeAll(async () => {
    database = await createTestDatabase()
    pooler = await startPgbouncer([database.ownerUrl, database.url])
  })
  afterEach(cleanUpProcesses)
  afterAll(async () => {
    await pooler.stop()
    await database.drop()
  })

  const secrets = { APP_JWT_KEY_SECRET: testSecret, SECRET_KEY: `${testSecret}-portal` }
  const unlimited = { RATE_LIMIT_ADDRESS: 'off', RATE_LIMIT_USER: 'off', RATE_LIMIT_LOGIN: 'off' }
  const behind = (through = pooler) => ({
    DATABASE_URL: through.through(database.url),
    DATABASE_MIGRATION_URL: database.ownerUrl,
    DATABASE_DIRECT_URL: database.url,
    ...secrets,
    ...unlimited,
  })

  async function logIn(url: string, username: string): Promise<string> {
    const response = await fetch(`${url}/auth/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ grant_type: 'password', username, password: 'demo-password-1' }),
    })
    expect(response.status).toBe(200)
    return ((await response.json()) as { access_token: string }).access_token
  }
  const get = (url: string, token: string, mandate?: string) =>
    fetch(url, {
      headers: {
        Authorization: `Bearer ${token}`,
        ...(mandate === undefined ? {} : { 'X-Mandate-Id': mandate }),
      },
    })

  it.each(['5000', '0'])(
    'serves logins, decisions and changes, and keeps mandates apart, with a lease of %s ms',
    async (lease) => {
      const gateway = startGatewayProcess({
        DATA_DIR: await makeDataDir(),
        ...behind(),
        COHERENCE_LEASE_MS: lease,
      })
      const url = await gateway.url()
      expect((await fetch(`${url}/readyz`)).status).toBe(200)
      const token = await logIn(url, 'alice')
      const labels: string[] = []
      const clients = Array.from({ length: 10 }, async (_none, client) => {
        for (let round = 0; round < 5; round += 1) {
          if (client === 0) await pooler.renew()
          expect((await get(`${url}/auth/me`, token)).status).toBe(200)
          const label = `role ${lease} ${client} ${round}`
          const made = await fetch(`${url}/mandate/roles`, {
            method: 'POST',
            body: JSON.stringify({ label }),
            headers: {
              Authorization: `Bearer ${token}`,
              'X-Mandate-Id': mandates.acme,
              'Content-Type': 'application/json',
            },
          })
          expect(made.status).toBe(201)
          labels.push(label)
          expect((await get(`${url}/auth/context`, token, mandates.globex)).status).toBe(200)
        }
      })
      await Promise.all(clients)
      const listed = (await (await get(`${url}/mandate/roles?limit=200`, token, mandates.acme)).json()) as {
        items: { label: string; mandateId: string | null }[]
      }
      expect(listed.items.map(({ label }) => label)).toEqual(expect.arrayContaining(labels))
      expect(
        listed.items.filter(({ mandateId }) => mandateId !== null && mandateId !== mandates.acme),
      ).toEqual([])
      expect(gateway.output()).not.toContain('"level":"error"')
    },
    60_000,
  )

  it('ends a statement at its time limit, also in the database, and leaves no limit in the session', async () => {
    const pool = connectDatabase({
      url: pooler.through(database.url),
      setRole: false,
      poolSize: 1,
      timeoutMs: 300,
    })
    try {
      const since = performance.now()
      await expect(pool.rows('select pg_sleep(30)')).rejects.toMatchObject({ code: 'directory_unavailable' })
      await expect(pool.transaction((tx) => tx.rows('select pg_sleep(30)'))).rejects.toMatchObject({
        code: 'directory_unavailable',
      })
      expect(performance.now() - since).toBeLessThan(5000)
      await until(
        async () =>
          (
            await database.sql(
              `select 1
                from pg_stat_activity
                where query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()`,
            )
          ).length === 0,
      )
      expect(await pool.rows(`select current_setting('statement_timeout') as "limit"`)).toEqual([
        { limit: '300ms' },
      ])
    } finally {
      await pool.close()
    }
    expect(await seenByOthers(pooler.through(database.url))).toEqual([{ limit: '0', user: 'gateway' }])
  })

  /** What another client of the pooler finds in the sessions that it is given. */
  async function seenByOthers(url: string) {
    const other = new pg.Client(url)
    await other.connect()
    try {
      return (
        await other.query<{ limit: string; user: string }>(
          `select current_setting('statement_timeout') as "limit", current_user as "user"`,
        )
      ).rows
    } finally {
      await other.end()
    }
  }

  it('runs every statement as gateway_app with the owner’s login, also when the pooler reconnects', async () => {
    const url = pooler.through(database.ownerUrl)
    const pool = connectDatabase({ url, setRole: true, poolSize: 4 })
    const asked = 'select current_user as "user"'
    try {
      for (let round = 0; round < 6; round += 1) {
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_none, index) =>
            index % 2 === 0 ? pool.rows(asked) : pool.transaction((tx) => tx.rows(asked)),
          ),
        )
        expect(new Set(answers.flat().map((row) => (row as { user: string }).user))).toEqual(
          new Set(['gateway_app']),
        )
        expect(await seenByOthers(url)).toEqual([{ limit: '0', user: new URL(url).username }])
        await pooler.renew()
      }
    } finally {
      await pool.close()
    }
  })

  it('/readyz is 503 and doctor names the fault when the pooler is gone, although the lease is held', async () => {
    const own = await startPgbouncer([database.ownerUrl, database.url])
    const gateway = startGatewayProcess({
      DATA_DIR: await makeDataDir(),
      ...behind(own),
      COHERENCE_LEASE_MS: '500',
    })
    const url = await gateway.url()
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    const healthy = await runCli(['doctor', '--json'], behind(own))
    expect(jsonOf(healthy)).toMatchObject({ faults: 0 })
    expect(jsonOf(healthy).findings).toContainEqual({
      check: 'pooler',
      level: 'ok',
      says: 'DATABASE_URL goes through a pooler in transaction mode',
    })
    await own.stop()
    await until(async () => (await fetch(`${url}/readyz`)).status === 503)
    const broken = await runCli(['doctor', '--json'], behind(own))
    expect(broken.code).toBe(1)
    expect(jsonOf(broken).findings).toContainEqual(
      expect.objectContaining({
        check: 'database',
        level: 'fault',
        says: expect.stringContaining('DATABASE_URL'),
      }),
    )
  }, 60_000)

  it('doctor says whether the way to the database is encrypted, and whether its certificate is checked', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'pgbouncer-tls-'))
    const tls = { key: path.join(folder, 'key'), certificate: path.join(folder, 'certificate') }
    await makeCertificate(tls, '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost')
    for (const [file, mode] of [
      [folder, 0o755],
      [tls.key, 0o644],
      [tls.certificate, 0o644],
    ] as const)
      await chmod(file, mode)
    const own = await startPgbouncer([database.ownerUrl, database.url], { tls })
    const encryptionOf = async (query: string) => {
      const url = `${own.through(database.url).replace('127.0.0.1', 'localhost')}${query}`
      const { findings } = jsonOf<{ findings: { check: string; level: string; says: string }[] }>(
        await runCli(['doctor', '--json'], { ...behind(), DATABASE_URL: url }),
      )
      return findings.find(
        ({ check, level }) => check === 'database encryption' || (check === 'database' && level === 'fault'),
      )
    }
    try {
      expect(await encryptionOf('')).toMatchObject({ level: 'ok', says: 'the database is on this machine' })
      expect(await encryptionOf('?sslmode=no-verify')).toMatchObject({
        level: 'warning',
        says: expect.stringContaining('nobody checked the certificate'),
      })
      expect(await encryptionOf(`?sslmode=verify-full&sslrootcert=${tls.certificate}`)).toMatchObject({
        level: 'ok',
        says: expect.stringContaining('certificate that was checked'),
      })
      expect(await encryptionOf('?sslmode=verify-full')).toMatchObject({
        level: 'fault',
        todo: expect.stringContaining('sslrootcert'),
      })
    } finally {
      await own.stop()
      await rm(folder, { recursive: true })
    }
  }, 60_000)

  it('a start whose lease would go through the pooler ends, and says what to set', async () => {
    const environment: Record<string, string> = { DATA_DIR: await makeDataDir(), ...behind() }
    delete environment.DATABASE_DIRECT_URL
    const gateway = startGatewayProcess(environment)
    expect(await gateway.ended).toBe(1)
    expect(gateway.errors()).toMatch(
      /DATABASE_URL goes through a pooler in transaction mode.*Set DATABASE_DIRECT_URL/,
    )
  }, 30_000)
})
