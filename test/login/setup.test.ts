import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { loadConfig } from '../../src/config.js'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { withMigrator } from '../../src/database/migrate.js'
import { issueSetupLink } from '../../src/login/setup.js'
import { lockSetup } from '../../src/login/setup-queries.js'
import { offerSetup } from '../../src/process/offer-setup.js'
import { jsonOf, runCli } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { until } from '../support/until.js'

const good = 'correct horse battery'
const html = 'text/html,application/xhtml+xml'

describe('the setup link for the first admin', () => {
  let database: TestDatabase
  let gateway: TestGateway
  let other: TestGateway
  let pool: Database
  beforeAll(async () => {
    database = await createTestDatabase('template_empty')
    await withMigrator(database.ownerUrl, (migrator) => migrator.up())
    const environment = { COHERENCE_LEASE_MS: '5000' }
    gateway = await startTestGateway({ database, environment })
    other = await startTestGateway({ database, environment })
    pool = connectDatabase({ url: database.url, setRole: false })
  })
  afterAll(async () => {
    await cleanUpProcesses()
    await pool.close()
    await gateway.stop()
    await other.stop()
    await database.drop()
  })
  beforeEach(async () => {
    await database.sql('delete from users')
    await database.sql('delete from setup_links')
  })

  const offered = async () => {
    let printed = ''
    const config = { ...loadConfig({ DATABASE_URL: database.url }), SEED_DEMO: false }
    const said: string[] = []
    const logger = { warn: (...all: unknown[]) => said.push(JSON.stringify(all)) } as never
    await offerSetup(
      config,
      { databaseUrl: database.url, setRole: false, demoUrl: undefined },
      'https://door.example.com',
      logger,
      (text) => {
        printed += text
      },
    )
    expect(said).toEqual([])
    return /https:\/\/door\.example\.com(\/auth\/setup\/[\w-]{43})\n/.exec(printed)?.[1] ?? ''
  }
  const passTime = () => database.sql(`update setup_links set created_at = created_at - interval '2 minutes'`)
  const set = (path: string, body: object = { username: 'first', password: good }, at = gateway) =>
    request(at.url).post(path).send(body)
  const opens = async (path: string) => (await request(gateway.url).get(path).set('Accept', html)).status
  const admins = () =>
    database.sql<{ username: string }>(
      'select username from users where is_sys_admin and is_platform_admin order by username',
    )

  it('is printed by each start until there is an admin, and replaces the one before', async () => {
    const first = await offered()
    expect(await opens(first)).toBe(200)
    await passTime()
    const second = await offered()
    expect([await opens(first), await opens(second)]).toEqual([404, 200])
    await database.sql(`insert into users (username) values ('somebody')`)
    expect(await offered()).toBe('')
  })

  it('makes an admin of both levels, known to every node at once, and signs nobody in', async () => {
    const path = await offered()
    const logIn = (at: TestGateway) =>
      request(at.url).post('/auth/login').send({ username: 'first', password: good })
    expect((await logIn(other)).status).toBe(401)
    const shown = await request(gateway.url).get(path).set('Accept', html)
    expect(shown.text).toContain('<form method="post">')
    expect(shown.text).not.toContain(path.split('/').at(-1))
    expect(shown.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'strict-origin' })
    expect(
      (await request(gateway.url).get(path).set('Accept', html).set('Accept-Language', 'de')).text,
    ).toContain('Gateway einrichten')
    const done = await request(gateway.url)
      .post(path)
      .set('Accept', html)
      .type('form')
      .send({ username: 'first', fullName: 'Fiona First', password: good, repeated: good })
    expect([done.status, done.headers['set-cookie']]).toEqual([200, undefined])
    const { user } = (await logIn(other)).body
    expect(user).toMatchObject({
      username: 'first',
      fullName: 'Fiona First',
      isSysAdmin: true,
      isPlatformAdmin: true,
    })
    const [event] = await database.sql<{ user_id: string; details: object }>(
      `select user_id, details from audit_events where action = 'first_admin_made' order by seq desc limit 1`,
    )
    expect(event).toMatchObject({ user_id: user.id, details: { subject: `user:${String(user.id)}` } })
  })

  it('of nodes that start together work until one is used: of many at once, one person becomes admin', async () => {
    const links = [await offered(), await offered(), await offered()]
    expect(await Promise.all(links.map(opens))).toEqual([200, 200, 200])
    const answers = await Promise.all(
      Array.from({ length: 9 }, (_, n) =>
        set(links[n % 3] ?? '', { username: `first-${n}`, password: good }, n % 2 === 0 ? gateway : other),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array<number>(8).fill(404)])
    expect(await admins()).toEqual([
      { username: `first-${answers.findIndex(({ status }) => status === 204)}` },
    ])
    expect(await Promise.all(links.map(opens))).toEqual([404, 404, 404])
    expect(await database.sql('select from setup_links')).toEqual([])
  })

  it('opens nothing once there is an admin, however they came to be one, enabled or not', async () => {
    const path = await offered()
    for (const level of ['is_sys_admin', 'is_platform_admin']) {
      await database.sql(`insert into users (username, enabled, ${level}) values ('other', false, true)`)
      expect([await opens(path), (await set(path)).status]).toEqual([404, 404])
      await database.sql('delete from users')
    }
    expect((await set(path)).status).toBe(204)
  })

  it('makes no second admin while another one is being made', async () => {
    const path = await offered()
    await database.sql(`insert into users (username) values ('other')`)
    const answer = await pool.transaction(async (tx) => {
      await lockSetup(tx)
      await tx.run('update users set is_sys_admin = true')
      const asked = set(path).then(({ status }) => status)
      await until(
        async () =>
          (
            await database.sql(
              `select
                from pg_locks
                where locktype = 'advisory'
                  and not granted
                  and database = (select oid from pg_database where datname = current_database())`,
            )
          )[0],
      )
      return { asked }
    })
    expect(await answer.asked).toBe(404)
    expect(await database.sql('select username from users')).toEqual([{ username: 'other' }])
  })

  it('expired and never made answer alike, byte for byte', async () => {
    const expired = await offered()
    await database.sql('update setup_links set expires_at = now()')
    const answers = []
    for (const one of [expired, `/auth/setup/${'A'.repeat(43)}`, '/auth/setup/x']) {
      for (const answer of [await request(gateway.url).get(one), await set(one)])
        answers.push(`${answer.status} ${answer.text.replace(String(answer.headers['x-request-id']), '')}`)
    }
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^404 /)
  })

  it('still works after an invalid form, and takes over no account', async () => {
    const path = await offered()
    await database.sql(
      `insert into users (id, username, password_hash) values ('00000000-0000-4000-8000-00000000aaaa', 'taken', 'x')`,
    )
    for (const [body, fault] of [
      [{ username: 'taken', password: good }, 'username'],
      [{ username: 'Big', password: good }, 'username'],
      [{ username: 'first', password: 'short' }, 'password'],
      [{ username: 'first', password: good, repeated: 'other' }, 'password'],
      [{ username: 'first', password: good, isSysAdmin: true }, ''],
    ] as const) {
      const answer = await set(path, body)
      expect([answer.status, answer.body.errors?.[0]?.path ?? '']).toEqual([400, fault])
    }
    expect(
      await database.sql(`select password_hash, is_sys_admin from users where username = 'taken'`),
    ).toEqual([{ password_hash: 'x', is_sys_admin: false }])
    const page = await request(gateway.url)
      .post(path)
      .set('Accept', html)
      .type('form')
      .send({ username: 'taken', password: good, repeated: good })
    expect(page.status).toBe(400)
    expect(page.text).toMatch(/role="alert"[^>]*>Username: is taken/)
    expect((await set(path)).status).toBe(204)
  })

  it('cannot be sent from another site', async () => {
    const path = await offered()
    expect((await set(path).set('Sec-Fetch-Site', 'cross-site')).body.code).toBe('cross_site_request')
    expect((await set(path).set('Origin', 'https://elsewhere.example')).body.code).toBe('cross_site_request')
    expect(await admins()).toEqual([])
  })

  it('is stored as a hash, and named in no event and no line of the log', async () => {
    const path = await offered()
    const token = path.split('/').at(-1) ?? ''
    await opens(path)
    await set(path).expect(204)
    const stored = JSON.stringify([
      await database.sql('select * from setup_links'),
      await database.sql('select * from audit_events'),
      await database.sql('select * from audit_personal'),
    ])
    expect(stored + gateway.logLines.join('')).not.toContain(token)
    expect(stored).not.toContain(good)
    expect(gateway.logLines.join('')).toContain('/auth/setup/:token')
  })

  const cliEnvironment = () => ({
    DATABASE_URL: database.url,
    DATABASE_MIGRATION_URL: database.ownerUrl,
    APP_JWT_KEY_SECRET: testSecret,
    SECRET_KEY: `${testSecret}-portal`,
    PUBLIC_URL: 'https://door.example.com',
  })

  it('is printed by the command line, too, while there is no admin, and then replaces all others at once', async () => {
    await database.sql(`insert into users (username) values ('somebody')`)
    const earlier =
      (await pool.transaction((tx) => issueSetupLink(tx, { userId: null, requestId: 'r' }, 'all')))?.path ??
      ''
    const { url } = jsonOf<{ url: string }>(await runCli(['admin', 'setup-link', '--json'], cliEnvironment()))
    expect([await opens(earlier), await opens(new URL(url).pathname)]).toEqual([404, 200])
    await set(new URL(url).pathname).expect(204)
    expect(await runCli(['admin', 'setup-link'], cliEnvironment())).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/There is an admin/),
    })
  })

  it('is printed by the program as it starts in production, and goes past its log', async () => {
    const strong = 'Zk3v9QpX7rT2mN8wLbY5cF1hJ6sD4gAaEeUuIiOo'
    const started = startGatewayProcess({
      ...cliEnvironment(),
      NODE_ENV: 'production',
      APP_JWT_KEY_SECRET: strong,
      SECRET_KEY: strong.split('').reverse().join(''),
      DATA_DIR: await makeDataDir(),
    })
    const [, path = ''] = await started.says(/https:\/\/door\.example\.com(\/auth\/setup\/[\w-]{43})\n/)
    expect(await opens(path)).toBe(200)
    started.child.kill('SIGTERM')
    expect(await started.ended).toBe(0)
    expect(
      started
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .join('\n'),
    ).not.toContain(path)
    expect(started.errors()).toBe('')
  })
})
