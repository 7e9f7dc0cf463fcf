import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { jsonOf, runCli } from '../support/cli.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { signToken, tokenFor, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'

const good = 'correct horse battery'

describe('from the command line', () => {
  let database: TestDatabase
  let gateway: TestGateway
  beforeAll(async () => {
    database = await createTestDatabase()
    gateway = await startTestGateway({ database, environment: { COHERENCE_LEASE_MS: '5000' } })
  })
  afterAll(async () => {
    await gateway.stop()
    await database.drop()
  })

  const run = (args: string[], input = '') =>
    runCli(
      args,
      {
        DATABASE_URL: database.url,
        DATABASE_MIGRATION_URL: database.ownerUrl,
        APP_JWT_KEY_SECRET: testSecret,
        SECRET_KEY: `${testSecret}-portal`,
        PUBLIC_URL: 'https://door.example.com',
      },
      input,
    )
  const me = async (token: string) =>
    (await fetch(`${gateway.url}/auth/me`, { headers: { Authorization: `Bearer ${token}` } })).status
  const logIn = async (username: string, password: string) =>
    (
      await fetch(`${gateway.url}/auth/login`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ username, password }),
      })
    ).status
  const lastEvent = async (action: string) =>
    (
      await database.sql<{ user_id: string | null; details: Record<string, unknown>; operator: string }>(
        `
    select e.user_id, e.details, p.value as operator
      from audit_events e
      join audit_personal p on p.event_id = e.id and p.field = 'operator'
     where e.action = $1 order by e.seq desc limit 1`,
        [action],
      )
    )[0]
  const newcomer = () => directoryOf(database).user()

  describe('a user', () => {
    it('is created with a setup link, and nodes that had remembered no such user know them at once', async () => {
      expect(await logIn('anna', good)).toBe(401)
      const made = jsonOf<{ firstAccess: { url: string } }>(
        await run([
          'user',
          'create',
          'anna',
          '--email',
          'anna@example.com',
          '--full-name',
          'Anna Arnold',
          '--json',
        ]),
      )
      expect(made).toMatchObject({
        username: 'anna',
        email: 'anna@example.com',
        fullName: 'Anna Arnold',
        isSysAdmin: false,
        isPlatformAdmin: false,
        coherence: { acked: 1, fenced: 0 },
      })
      const { url } = made.firstAccess
      expect(url).toMatch(/^https:\/\/door\.example\.com\/auth\/first-access\/[\w-]{43}$/)
      const set = await fetch(gateway.url + new URL(url).pathname, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ password: good }),
      })
      expect(set.status).toBe(204)
      expect(await logIn('anna', good)).toBe(200)
    })

    it('is created with a password from standard input: not stored as typed, and refused if it is weak', async () => {
      expect(await run(['user', 'create', 'bert', '--password'], `${good}\n`)).toMatchObject({
        code: 0,
        stderr: '',
      })
      expect(await logIn('bert', good)).toBe(200)
      const refused = await run(['user', 'create', 'carl', '--password'], 'short\n')
      expect(refused).toMatchObject({ code: 1, stdout: '' })
      expect(refused.stderr).toMatch(/at least 12 characters/)
      expect(await run(['user', 'create', 'bert'])).toMatchObject({ code: 1, stdout: '' })
      expect((await run(['user', 'create', 'Big Name'])).stderr).toMatch(/username: must/)
      const rows = JSON.stringify([
        await database.sql('select * from audit_events'),
        await database.sql('select * from audit_personal'),
        await database.sql('select * from users'),
      ])
      expect(rows).not.toContain(good)
    })

    it('is shut out by every node once disable answers, until enable; the audit names the operator', async () => {
      const { id, username, token } = await newcomer()
      expect(await me(token)).toBe(200)
      expect(jsonOf(await run(['user', 'disable', username, '--json']))).toMatchObject({
        id,
        username,
        coherence: { acked: 1, fenced: 0 },
      })
      expect(await me(token)).toBe(403)
      expect(await lastEvent('user_changed')).toMatchObject({
        user_id: null,
        details: { subject: `user:${id}`, via: 'command line' },
        operator: expect.stringMatching(/.@./),
      })
      expect((await run(['user', 'enable', id])).code).toBe(0)
      expect(await me(token)).toBe(401) // the session had ended
    })

    it('is given another password: sessions and links of before are void', async () => {
      const { username, token } = await newcomer()
      expect(await me(token)).toBe(200)
      expect((await run(['user', 'password', username], good)).code).toBe(0)
      expect(await me(token)).toBe(401)
      expect(await logIn(username, good)).toBe(200)
      expect(await run(['user', 'password', 'reports'], good)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/service account/),
      })
      expect(await run(['user', 'password', 'nobody'], good)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/no user nobody/),
      })
    })

    it('waits for a node that does not acknowledge as long as its lease; then the node is shut out', async () => {
      const { username } = await newcomer()
      const silent = randomUUID()
      await database.sql('insert into coherence.nodes (id, lease_ms) values ($1, 1200)', [silent])
      const { coherence } = jsonOf<{ coherence: { fenced: number; waitedMs: number } }>(
        await run(['user', 'disable', username, '--json']),
      )
      expect(coherence.fenced).toBe(1)
      expect(coherence.waitedMs).toBeGreaterThanOrEqual(1200)
      expect(await database.sql('select from coherence.nodes where id = $1', [silent])).toEqual([])
    })
  })

  describe('an admin', () => {
    it('is made and unmade at either level, at once, but the last one of a level stays', async () => {
      const { id, username } = await newcomer()
      // Whoever is promoted signs in again: each time with a token of now.
      const asks = async (path: string) => {
        const { token } = await tokenFor(database, 'alice', {
          claims: { sub: username, userId: id },
          row: { userId: id },
        })
        return (await fetch(gateway.url + path, { headers: { Authorization: `Bearer ${token}` } })).status
      }
      for (const [level, path] of [
        ['system', '/system/nodes'],
        ['platform', '/admin/users'],
      ] as const) {
        expect(await asks(path)).toBe(403)
        expect((await run(['admin', 'grant', level, username])).code).toBe(0)
        expect(await asks(path)).toBe(200)
        expect((await run(['admin', 'revoke', level, username])).code).toBe(0)
        expect(await asks(path)).toBe(403)
      }
      expect(await lastEvent('sysadmin_revoked')).toMatchObject({ details: { via: 'command line' } })
      const last = await run(['admin', 'revoke', 'system', 'root'])
      expect(last).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/last SysAdmin/) })
      expect((await run(['user', 'disable', 'root'])).stderr).toMatch(/last SysAdmin/)
      expect(
        (await database.sql('select is_sys_admin, enabled from users where id = $1', [users.root]))[0],
      ).toEqual({ is_sys_admin: true, enabled: true })
    })
  })

  describe('a link to a first password', () => {
    it('is listed with who issued it, and withdrawn', async () => {
      const { firstAccess } = jsonOf<{ firstAccess: { url: string } }>(
        await run(['user', 'create', 'lena', '--json']),
      )
      const page = async () => (await fetch(gateway.url + new URL(firstAccess.url).pathname)).status
      expect(await page()).toBe(200)
      const { items } = jsonOf<{ items: { id: string; username: string; issuedBy: string | null }[] }>(
        await run(['user', 'links', '--json']),
      )
      const link = items.find(({ username }) => username === 'lena')
      expect(link).toMatchObject({ issuedBy: null })
      expect((await run(['user', 'links'])).stdout).toContain('issued by the command line')
      expect(await run(['user', 'withdraw-link', link!.id])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('The link of lena works no more.'),
      })
      expect(await page()).toBe(404)
      expect(await run(['user', 'withdraw-link', link!.id])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/user links lists them/),
      })
    })
  })

  describe('a token', () => {
    it('of a service account is issued, printed alone, accepted, and refused once it is revoked', async () => {
      const issued = await run(['token', 'issue', 'reports', '--label', 'nightly', '--days', '2'])
      expect(issued).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/),
        stderr: expect.stringMatching(/counts until/),
      })
      const token = issued.stdout.trim()
      expect(await me(token)).toBe(200)
      const looked = await run(['token', 'inspect', '--json'], issued.stdout)
      expect(looked.code).toBe(0)
      expect(jsonOf(looked)).toMatchObject({
        kind: 'access_token',
        counts: true,
        reason: null,
        claims: { sub: 'reports', alg: 'HS256' },
        row: { label: 'nightly', purpose: 'api_token', status: 'active' },
      })
      expect((await run(['token', 'revoke'], issued.stdout)).code).toBe(0)
      expect(await me(token)).toBe(401)
      expect(await run(['token', 'issue', 'alice', '--label', 'x'])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/no service account alice/),
      })
    })

    it('is revoked by its id, on every node', async () => {
      const { id, username } = await newcomer()
      const { token, jti } = await tokenFor(database, 'alice', {
        claims: { sub: username, userId: id },
        row: { userId: id },
      })
      expect(await me(token)).toBe(200)
      expect(jsonOf(await run(['token', 'revoke', jti, '--json']))).toMatchObject({
        id: jti,
        userId: id,
        coherence: { acked: 1 },
      })
      expect(await me(token)).toBe(401)
      expect((await run(['token', 'revoke', randomUUID()])).code).toBe(1)
    })

    it('is looked at without being shown: neither it nor its signature, whoever made it', async () => {
      const { token, jti } = await tokenFor(database, 'bob')
      const forged = await signToken('alice', jti, undefined, {
        secret: 'another-secret-0123456789-abcdefghijk',
      })
      for (const [one, counts] of [
        [token, true],
        [forged, false],
      ] as const) {
        const { code, stdout, stderr } = await run(['token', 'inspect'], one)
        expect(code).toBe(counts ? 0 : 1)
        for (const part of [...one.split('.').slice(1), testSecret])
          expect(stdout + stderr).not.toContain(part)
        expect(stdout).toMatch(counts ? /^counts +true/m : /^reason +not signed/m)
      }
      await database.sql('update users set enabled = false where id = $1', [users.bob])
      expect(jsonOf(await run(['token', 'inspect', '--json'], token))).toMatchObject({
        counts: false,
        reason: 'user_disabled',
      })
      expect(jsonOf(await run(['token', 'inspect', jti, '--json']))).toMatchObject({
        kind: 'row',
        counts: false,
        reason: 'its user is disabled',
      })
      await database.sql('update users set enabled = true where id = $1', [users.bob])
    })
  })

  it('keys are listed as the gateway lists them, and rotated; secrets are not shown', async () => {
    const listed = await run(['keys', 'list', '--json'])
    const { token } = await tokenFor(database, 'root')
    const governed = (await (
      await fetch(`${gateway.url}/system/keys`, { headers: { Authorization: `Bearer ${token}` } })
    ).json()) as { items: { kid: string; use: string; state: string }[] }
    const short = (items: { kid: string; use: string; state: string }[]) =>
      items.map(({ kid, use, state }) => `${use} ${state} ${kid}`).sort()
    expect(short(jsonOf<{ items: typeof governed.items }>(listed).items)).toEqual(short(governed.items))
    expect(listed.stdout).not.toContain(testSecret)
    const { kid } = jsonOf(await run(['keys', 'rotate', '--json']))
    expect(await database.sql('select kid from identity_keys where kid = $1', [kid])).toHaveLength(1)
    expect(await lastEvent('identity_key_made')).toMatchObject({
      details: { subject: `key:${String(kid)}`, via: 'command line' },
    })
    const signing =
      governed.items.find(({ use, state }) => use === 'access_token' && state === 'signing')?.kid ?? ''
    expect(await run(['keys', 'retire', signing])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/This key signs/),
    })
  })

  it('everything is revoked at once, for a database that was restored', async () => {
    const [bob, reports] = [
      await tokenFor(database, 'bob'),
      await tokenFor(database, 'reports', {
        row: { purpose: 'api_token', sessionId: null },
        claims: { sid: undefined },
      }),
    ]
    expect([await me(bob.token), await me(reports.token)]).toEqual([200, 200])
    expect(jsonOf(await run(['token', 'revoke', '--all', '--json']))).toMatchObject({
      sessions: expect.any(Number),
      tokens: expect.any(Number),
    })
    expect([await me(bob.token), await me(reports.token)]).toEqual([401, 401])
  })

  it('called wrongly says so and exits with 64; a configuration with faults with 78', async () => {
    for (const args of [
      ['admin', 'grant', 'root', 'anna'],
      ['token', 'revoke', 'x.y.z'],
      ['user', 'password', 'anna', good],
    ]) {
      expect([args, await run(args)]).toMatchObject([args, { code: 64, stdout: '' }])
    }
    expect((await runCli(['user', 'disable', 'anna'], { NODE_ENV: 'production' })).code).toBe(78)
    expect((await run(['user', 'create', '--help'])).stdout).toMatch(
      /Examples:\n {2}mandate-gateway user create/,
    )
  })
})
