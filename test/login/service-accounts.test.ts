import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt, SignJWT } from 'jose'
import pg from 'pg'
import request from 'supertest'
import { createLogger } from 'winston'
import { connectDatabase } from '../../src/database/connect.js'
import { startTokenUses } from '../../src/oauth/token-uses.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, roles, tokenFor, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { bearer } from '../support/http-client.js'
import { until } from '../support/until.js'

const password = 'demo-password-1'
const nowhere = '00000000-0000-4000-8000-00000000ffff'
let database: TestDatabase
let here: TestGateway
let there: TestGateway
let petra: Record<string, string>
beforeAll(async () => {
  database = await createTestDatabase()
  const environment = { COHERENCE_LEASE_MS: '5000' }
  here = await startTestGateway({ database, environment })
  there = await startTestGateway({ database, environment })
  petra = bearer((await tokenFor(database, 'petra')).token)
})
afterAll(async () => {
  await here.stop()
  await there.stop()
  await database.drop()
})

const basic = (id: string, secret: string) => ({
  Authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
})
const admin = (method: 'get' | 'post' | 'patch' | 'delete', path: string, body?: object, gateway = here) =>
  request(gateway.url)[method](path).set(petra).send(body)
const ask = (fields: object, headers: Record<string, string> = {}, gateway = here) =>
  request(gateway.url)
    .post('/auth/token')
    .type('form')
    .set(headers)
    .send({ grant_type: 'client_credentials', ...fields })
const me = async (token: string, gateway = here) =>
  (await request(gateway.url).get('/auth/me').set(bearer(token))).status

let account: { id: string; username: string }
let path: string
beforeEach(async () => {
  const { status, body, headers } = await admin('post', '/admin/service-accounts', {
    username: `robot-${randomUUID().slice(0, 8)}`,
    fullName: 'A robot',
  })
  expect(status).toBe(201)
  account = body
  path = `/admin/service-accounts/${account.id}`
  expect(headers.location).toBe(path)
})
const makeSecret = async (more: object = {}) => {
  const { status, body } = await admin('post', `${path}/secrets`, { label: 'first', ...more })
  expect(status).toBe(201)
  return body as { id: string; secret: string; clientId: string }
}

describe('client_credentials with a secret', () => {
  it.each(['username', 'id'] as const)(
    'gives an access token without session and refresh token, to a client called by its %s',
    async (name) => {
      const { secret } = await makeSecret()
      const { status, body, headers } = await ask({ client_id: account[name], client_secret: secret })
      expect([status, body]).toEqual([
        200,
        { access_token: expect.any(String), token_type: 'Bearer', expires_in: expect.any(Number) },
      ])
      expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
      const claims = decodeJwt(String(body.access_token))
      expect(claims).toMatchObject({ sub: account.username, authenticationAuthority: 'local' })
      expect(claims).not.toHaveProperty('sid')
      expect(await me(String(body.access_token))).toBe(200)
    },
  )

  it('works in mandates that the account is a member of, and nowhere else', async () => {
    await directoryOf(database).join(account.id, mandates.acme, { roles: [roles.viewer] })
    const { secret } = await makeSecret()
    const { body } = await ask({ client_id: account.username, client_secret: secret })
    const context = (mandate: string) =>
      request(here.url)
        .get('/auth/context')
        .set(bearer(String(body.access_token)))
        .set('X-Mandate-Id', mandate)
    expect((await context(mandates.acme)).body.roleIds).toEqual([roles.viewer])
    expect((await context(mandates.globex)).body.code).toBe('not_a_member')
  })

  it('takes Basic, form-encoded (RFC 6749 §2.3.1)', async () => {
    const { secret } = await makeSecret()
    expect((await ask({}, basic(account.username, secret))).status).toBe(200)
    await database.sql('update users set username = $1 where id = $2', [
      `a+b%c:d ${account.id}`.replaceAll(' ', '~'),
      account.id,
    ])
    expect((await ask({}, basic(`a+b%c:d~${account.id}`, secret))).status).toBe(200)
  })

  it.each<[string, (secret: string) => [object, Record<string, string>], number, string]>([
    ['no client', () => [{}, {}], 401, 'invalid_client'],
    ['no secret', () => [{ client_id: account.username }, {}], 401, 'invalid_client'],
    [
      'a wrong secret',
      () => [{ client_id: account.username, client_secret: 'x'.repeat(43) }, {}],
      401,
      'invalid_client',
    ],
    [
      'the secret of another account',
      (secret) => [{ client_id: 'reports', client_secret: secret }, {}],
      401,
      'invalid_client',
    ],
    [
      'an unknown client',
      (secret) => [{ client_id: 'nobody', client_secret: secret }, {}],
      401,
      'invalid_client',
    ],
    [
      'a person with a password',
      () => [{ client_id: 'alice', client_secret: password }, {}],
      401,
      'invalid_client',
    ],
    [
      'both Basic and the body',
      (secret) => [{ client_id: account.username, client_secret: secret }, basic(account.username, secret)],
      400,
      'invalid_request',
    ],
    [
      'another client_id than Basic has',
      (secret) => [{ client_id: 'reports' }, basic(account.username, secret)],
      400,
      'invalid_request',
    ],
    [
      'a Basic header without a colon',
      () => [{}, { Authorization: `Basic ${Buffer.from('robot').toString('base64')}` }],
      401,
      'invalid_client',
    ],
    [
      'a Basic header that is badly encoded',
      () => [{}, { Authorization: `Basic ${Buffer.from('%zz:%zz').toString('base64')}` }],
      401,
      'invalid_client',
    ],
    [
      'an assertion of no known type',
      () => [{ client_assertion: 'a.b.c', client_assertion_type: 'x' }, {}],
      400,
      'invalid_request',
    ],
    ['a NUL', () => [{ client_id: 'a\0b', client_secret: 'x' }, {}], 400, 'invalid_request'],
  ])('refuses %s', async (_, request_, status, error) => {
    const [fields, headers] = request_((await makeSecret()).secret)
    const answer = await ask(fields, headers)
    expect([answer.status, answer.body]).toEqual([status, { error, error_description: expect.any(String) }])
    if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Basic realm=/)
  })

  it('lets a service account with a password in by that, too, and by the password grant', async () => {
    expect((await ask({ client_id: 'reports', client_secret: password })).status).toBe(200)
    expect((await ask({ grant_type: 'password', username: 'reports', password })).status).toBe(200)
    expect((await ask({ client_id: 'reports', client_secret: 'wrong' })).body.error).toBe('invalid_client')
  })

  it('gives nothing for a password that is changed while it is checked', async () => {
    const changing = new pg.Client(database.ownerUrl)
    await changing.connect()
    try {
      const [before] = await database.sql<{ password_hash: string }>(
        'select password_hash from users where id = $1',
        [users.reports],
      )
      await changing.query('begin')
      await changing.query('update users set password_hash = $1 where id = $2', ['changed', users.reports])
      const asked = ask({ client_id: 'reports', client_secret: password }).then((answer) => answer)
      await until(async () =>
        (
          await database.sql(
            `select
              from pg_stat_activity
              where datname = current_database() and wait_event_type = 'Lock' and query like '%for share%'`,
          )
        ).length > 0
          ? true
          : undefined,
      )
      await changing.query('commit')
      expect((await asked).body.error).toBe('invalid_client')
      await database.sql('update users set password_hash = $1 where id = $2', [
        before!.password_hash,
        users.reports,
      ])
    } finally {
      await changing.end()
    }
  })

  it('never lets an account without a password sign in as a person would', async () => {
    const { secret } = await makeSecret()
    for (const guess of [secret, '', password]) {
      expect(
        (await request(here.url).post('/auth/login').send({ username: account.username, password: guess }))
          .status,
      ).not.toBe(200)
      expect(
        (await ask({ grant_type: 'password', username: account.username, password: guess })).status,
      ).toBe(400)
    }
    expect((await admin('post', `/admin/users/${account.id}/first-access`)).status).toBe(404)
  })

  it('is over for an account that is disabled, at once and on all nodes', async () => {
    const { secret } = await makeSecret()
    const token = String(
      (await ask({ client_id: account.username, client_secret: secret })).body.access_token,
    )
    expect(await me(token, there)).toBe(200)
    expect((await admin('patch', path, { enabled: false })).body.coherence.acked).toBe(2)
    expect(await me(token, there)).toBe(403)
    expect((await ask({ client_id: account.username, client_secret: secret })).body.error).toBe(
      'invalid_client',
    )
  })

  it('is counted: a guesser has to wait', async () => {
    const limited = await startTestGateway({ database, environment: { RATE_LIMIT_LOGIN: '2/60s' } })
    try {
      const statuses = []
      for (let round = 0; round < 3; round += 1)
        statuses.push(
          (await ask({ client_id: account.username, client_secret: 'wrong' }, {}, limited)).status,
        )
      expect(statuses).toEqual([401, 401, 429])
    } finally {
      await limited.stop()
    }
  })
})

describe('secrets', () => {
  it('are shown once, stored as a hash, and may be several at once', async () => {
    const [first, second] = [
      await makeSecret(),
      await makeSecret({ label: 'second', expiresAt: new Date(Date.now() + 86_400_000).toISOString() }),
    ]
    for (const { secret } of [first, second])
      expect((await ask({ client_id: account.username, client_secret: secret })).status).toBe(200)
    const { body, text } = await admin('get', `${path}/secrets`)
    expect(
      body.items.map(({ label, lastUsedAt, expiresAt }: Record<string, unknown>) => [
        label,
        typeof lastUsedAt,
        typeof expiresAt,
      ]),
    ).toEqual([
      ['first', 'string', 'object'],
      ['second', 'string', 'string'],
    ])
    const stored = JSON.stringify([
      await database.sql('select * from service_secrets'),
      await database.sql('select * from audit_events'),
    ])
    for (const { secret } of [first, second]) {
      expect(text).not.toContain(secret)
      expect(stored).not.toContain(secret)
      expect(here.logLines.join('\n')).not.toContain(secret)
    }
    expect(Buffer.from(first.secret, 'base64url')).toHaveLength(32)
  })

  it('that are removed end what was given for them, on all nodes; what another one gave stays', async () => {
    const [old, fresh] = [await makeSecret(), await makeSecret()]
    const [byOld, byFresh] = (await Promise.all(
      [old, fresh].map(async ({ secret }) =>
        String((await ask({ client_id: account.username, client_secret: secret })).body.access_token),
      ),
    )) as [string, string]
    expect([await me(byOld, there), await me(byFresh, there)]).toEqual([200, 200])
    expect((await admin('delete', `${path}/secrets/${old.id}?dryRun=1`)).body).toEqual({
      dryRun: true,
      tokens: { count: 1 },
    })
    expect(await me(byOld, there)).toBe(200)
    const { status, body } = await admin('delete', `${path}/secrets/${old.id}`)
    expect([status, body.coherence.acked]).toEqual([200, 2])
    expect([await me(byOld, there), await me(byOld, here), await me(byFresh, there)]).toEqual([401, 401, 200])
    expect((await ask({ client_id: account.username, client_secret: old.secret })).status).toBe(401)
    expect((await admin('delete', `${path}/secrets/${old.id}`)).status).toBe(404)
  })

  it('that have expired are refused', async () => {
    const { id, secret } = await makeSecret()
    await database.sql('update service_secrets set expires_at = now() where id = $1', [id])
    expect((await ask({ client_id: account.username, client_secret: secret })).status).toBe(401)
    expect(
      (await admin('post', `${path}/secrets`, { label: 'past', expiresAt: '2020-01-01T00:00:00Z' })).status,
    ).toBe(400)
  })
})

describe('client_credentials with a signed assertion (RFC 7523)', () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
  let keyId: string
  beforeEach(async () => {
    const { status, body } = await admin('post', `${path}/keys`, {
      label: 'laptop',
      publicJwk: pair.publicKey.export({ format: 'jwk' }),
    })
    expect([status, body.algorithm]).toEqual([201, 'ES256'])
    keyId = String(body.id)
  })
  const now = () => Math.floor(Date.now() / 1000)
  const assertion = async (
    claims: Record<string, unknown> = {},
    key: KeyObject = pair.privateKey,
    header: Record<string, unknown> = {},
  ) => {
    const all = {
      iss: account.username,
      sub: account.username,
      aud: [here.url, there.url],
      jti: randomUUID(),
      iat: now(),
      exp: now() + 60,
      ...claims,
    }
    return await new SignJWT(
      Object.fromEntries(Object.entries<unknown>(all).filter(([, value]) => value !== undefined)),
    )
      .setProtectedHeader({ alg: 'ES256', ...header })
      .sign(key)
  }
  const send = async (made: string, more: object = {}, gateway = here) =>
    await ask({ client_assertion: made, client_assertion_type: type, ...more }, {}, gateway)

  it('gives a token, once, on whichever node', async () => {
    const made = await assertion()
    const { status, body } = await send(made)
    expect([status, await me(String(body.access_token))]).toEqual([200, 200])
    for (const gateway of [here, there])
      expect((await send(made, {}, gateway)).body.error).toBe('invalid_client')
    const racing = await assertion()
    const answers = await Promise.all([here, there, here, there].map((gateway) => send(racing, {}, gateway)))
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 401, 401, 401])
  })

  it('is used up by introspection, too, on whichever node, and its use is noted', async () => {
    const made = await assertion()
    const introspect = async (gateway = here) =>
      (
        await request(gateway.url)
          .post('/auth/introspect')
          .type('form')
          .send({ token: 'x', client_assertion: made, client_assertion_type: type })
      ).status
    expect(await introspect()).toBe(200)
    expect((await admin('get', `${path}/keys/${keyId}`)).body.lastUsedAt).not.toBeNull()
    expect([await introspect(), await introspect(there), (await send(made)).status]).toEqual([401, 401, 401])
  })

  it('is for this gateway or its token endpoint', async () => {
    for (const aud of [here.url, `${here.url}/auth/token`, [`${here.url}/auth/token`, 'x']])
      expect((await send(await assertion({ aud }), { client_id: account.username })).status).toBe(200)
    expect((await send(await assertion({ aud: there.url }))).status).toBe(401)
  })

  it('may call the account by its id', async () => {
    expect((await send(await assertion({ iss: account.id, sub: account.id }))).status).toBe(200)
  })

  const unsigned = (claims: object) =>
    ['{"alg":"ES256"}', JSON.stringify(claims), 'x']
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.')
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  it.each<[string, () => Promise<string>]>([
    ['another audience', () => assertion({ aud: 'https://elsewhere.example' })],
    ['no audience', () => assertion({ aud: undefined })],
    ['another issuer than subject', () => assertion({ iss: 'reports' })],
    ['another account', () => assertion({ iss: 'reports', sub: 'reports' })],
    ['an unknown account', () => assertion({ iss: 'nobody', sub: 'nobody' })],
    ['no jti', () => assertion({ jti: undefined })],
    ['no exp', () => assertion({ exp: undefined })],
    ['an exp that is past', () => assertion({ exp: now() - 10 })],
    ['an exp far away', () => assertion({ exp: now() + 700 })],
    ['an iat of the future', () => assertion({ iat: now() + 60 })],
    ['an nbf of the future', () => assertion({ nbf: now() + 60 })],
    ['another key', () => assertion({}, other.privateKey)],
    ['no signature', async () => `${(await assertion()).split('.').slice(0, 2).join('.')}.`],
    [
      'alg none',
      async () =>
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await assertion()).split('.')[1]!}.`,
    ],
    ['rubbish', () => Promise.resolve('a.b.c')],
    ['a header that is rubbish', async () => `x.${(await assertion()).split('.')[1]!}.x`],
    [
      'a header that is no object',
      async () => `${Buffer.from('7').toString('base64url')}.${(await assertion()).split('.')[1]!}.x`,
    ],
    ...[7, null, {}, ['reports'], true].map((sub): [string, () => Promise<string>] => [
      `the subject ${JSON.stringify(sub)}`,
      () => Promise.resolve(unsigned({ sub })),
    ]),
  ])('is refused with %s', async (_, make) => {
    const { status, body } = await send(await make())
    expect([status, body.error]).toEqual([401, 'invalid_client'])
  })

  it('is refused for another client_id, for a key that is removed or expired, and of a disabled account', async () => {
    expect((await send(await assertion(), { client_id: 'reports' })).status).toBe(401)
    const token = String((await send(await assertion())).body.access_token)
    await database.sql('update service_keys set expires_at = now() where id = $1', [keyId])
    expect((await send(await assertion())).status).toBe(401)
    await database.sql('update service_keys set expires_at = null where id = $1', [keyId])
    expect(await me(token, there)).toBe(200)
    expect((await admin('delete', `${path}/keys/${keyId}`)).status).toBe(200)
    expect([(await send(await assertion())).status, await me(token, there)]).toEqual([401, 401])
  })

  it.each(['rsa', 'ed25519'] as const)('may be signed with %s', async (kind) => {
    const made =
      kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
    expect(
      (
        await admin('post', `${path}/keys`, {
          label: kind,
          publicJwk: made.publicKey.export({ format: 'jwk' }),
        })
      ).status,
    ).toBe(201)
    expect(
      (await send(await assertion({}, made.privateKey, { alg: kind === 'rsa' ? 'RS256' : 'EdDSA' }))).status,
    ).toBe(200)
  })

  it('wants public keys only, of kinds that are good enough, each once', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    for (const publicJwk of [
      pair.privateKey.export({ format: 'jwk' }),
      { kty: 'oct', k: 'c2VjcmV0' },
      weak,
      { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' },
      {},
    ]) {
      expect((await admin('post', `${path}/keys`, { label: 'bad', publicJwk })).body.errors?.[0]?.path).toBe(
        'publicJwk',
      )
    }
    expect(
      (
        await admin('post', `${path}/keys`, {
          label: 'again',
          publicJwk: pair.publicKey.export({ format: 'jwk' }),
        })
      ).status,
    ).toBe(409)
  })
})

describe('long-lived tokens', () => {
  const days = (count: number) => new Date(Date.now() + count * 86_400_000).toISOString()
  const make = async () =>
    (await admin('post', `${path}/tokens`, { label: 'nightly', expiresAt: days(300) }).expect(201)).body as {
      id: string
      token: string
    }

  it('let a program in, are listed without the token, and are revoked on all nodes', async () => {
    const { id, token } = await make()
    expect([await me(token, here), await me(token, there)]).toEqual([200, 200])
    const [row] = await database.sql(
      'select purpose, authority, session_id, label from tokens where id = $1',
      [id],
    )
    expect(row).toEqual({ purpose: 'api_token', authority: 'local', session_id: null, label: 'nightly' })
    const { body, text } = await admin('get', `${path}/tokens`)
    expect(body.items).toEqual([expect.objectContaining({ id, label: 'nightly', lastUsedAt: null })])
    expect(text).not.toContain(token)
    expect((await admin('delete', `${path}/tokens/${id}`)).body.coherence.acked).toBe(2)
    expect([await me(token, here), await me(token, there)]).toEqual([401, 401])
    expect((await admin('get', `${path}/tokens`)).body.items).toEqual([])
  })

  it('live 400 days at most', async () => {
    expect((await admin('post', `${path}/tokens`, { label: 'long', expiresAt: days(401) })).status).toBe(400)
    expect((await admin('post', `${path}/tokens`, { label: 'endless' })).status).toBe(400)
    const { body } = await admin('post', `${path}/tokens`, { label: 'longest', expiresAt: days(399.9) })
    expect(await me(String(body.token))).toBe(200)
  })

  it('cannot link identities, nor do what only people do', async () => {
    const { token } = await make()
    expect((await request(here.url).get('/auth/identities').set(bearer(token))).body.code).toBe(
      'permission_denied',
    )
  })

  it.each([
    ['that remembers nothing', '0'],
    ['that remembers', '5000'],
  ])('have each use noted, by a node %s', async (_how, lease) => {
    const { id, token } = await make()
    const node = await startTestGateway({ database, environment: { COHERENCE_LEASE_MS: lease } })
    expect(await me(token, node)).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const before = Date.now()
    if (lease !== '0') expect(await me(token, node)).toBe(200)
    await node.stop() // which writes what it has noted
    const [{ at } = { at: new Date(0) }] = await database.sql<{ at: Date }>(
      'select last_used_at as at from tokens where id = $1',
      [id],
    )
    expect(at.getTime()).toBeGreaterThanOrEqual(lease === '0' ? before - 5000 : before)
  })

  it('have their last use written now and then, and never by the request', async () => {
    const { id, token } = await make()
    const last = async () =>
      (
        await database.sql<{ at: Date | null }>('select last_used_at as at from tokens where id = $1', [id])
      )[0]!.at
    expect(await me(token)).toBe(200)
    expect(await last()).toBeNull()
    const pool = connectDatabase({ url: database.url, setRole: false })
    const uses = startTokenUses({ sql: pool, logger: createLogger({ silent: true }) })
    uses.note(id)
    await uses.flush()
    expect(Date.now() - (await last())!.getTime()).toBeLessThan(5000)
    await uses.close()
    await pool.close()
  })
})

describe('/admin/service-accounts', () => {
  it('lists, shows, changes and deletes accounts of programs, and knows nothing of people', async () => {
    const { body: list } = await admin('get', '/admin/service-accounts?limit=1')
    expect(list.items).toHaveLength(1)
    expect(
      (
        await admin('get', `/admin/service-accounts?limit=200&cursor=${String(list.nextCursor)}`)
      ).body.items.map(({ username }: { username: string }) => username),
    ).toContain(account.username)
    const names = async (q: string) =>
      (await admin('get', `/admin/service-accounts?q=${q}`)).body.items.map(
        ({ username }: { username: string }) => username,
      )
    expect(await names(account.username.slice(0, -1))).toContain(account.username)
    expect(await names('alice')).toEqual([]) // a person
    expect((await admin('get', path)).body).toEqual({
      id: account.id,
      username: account.username,
      fullName: 'A robot',
      enabled: true,
      isSysAdmin: false,
      isPlatformAdmin: false,
      createdAt: expect.any(String),
    })
    expect((await admin('patch', path, { fullName: 'Another' })).body.fullName).toBe('Another')
    expect((await admin('patch', path, { isSysAdmin: true })).status).toBe(400)
    expect((await admin('delete', `${path}?dryRun=1`)).body.dryRun).toBe(true)
    expect((await admin('delete', path)).status).toBe(200)
    expect((await admin('get', path)).status).toBe(404)
    for (const [method, sub] of [
      ['get', ''],
      ['patch', ''],
      ['delete', ''],
      ['get', '/secrets'],
      ['get', '/tokens'],
    ] as const) {
      expect(
        (
          await admin(
            method,
            `/admin/service-accounts/${users.alice}${sub}`,
            method === 'patch' ? {} : undefined,
          )
        ).status,
      ).toBe(404)
    }
    expect(
      (
        await admin('post', `/admin/service-accounts/${users.alice}/tokens`, {
          label: 'x',
          expiresAt: new Date(Date.now() + 1000_000).toISOString(),
        })
      ).status,
    ).toBe(404)
    expect((await admin('post', '/admin/service-accounts', { username: 'alice' })).status).toBe(409)
  })

  it('pages through credentials', async () => {
    for (const label of ['a', 'b', 'c']) await makeSecret({ label })
    const first = (await admin('get', `${path}/secrets?limit=2`)).body
    const second = (await admin('get', `${path}/secrets?limit=2&cursor=${String(first.nextCursor)}`)).body
    expect([...first.items, ...second.items].map(({ label }: { label: string }) => label)).toEqual([
      'a',
      'b',
      'c',
    ])
    expect(second.nextCursor).toBeNull()
  })

  it('is for platform admins, and the credentials of a SysAdmin for SysAdmins', async () => {
    const alice = bearer((await tokenFor(database, 'alice')).token)
    const root = bearer((await tokenFor(database, 'root')).token)
    for (const one of ['/admin/service-accounts', path, `${path}/secrets`, `${path}/keys`, `${path}/tokens`])
      expect((await request(here.url).get(one).set(alice)).body.code).toBe('platform_admin_required')
    const { id, secret } = await makeSecret()
    await database.sql('update users set is_sys_admin = true where id = $1', [account.id])
    expect((await admin('post', `${path}/secrets`, { label: 'stolen' })).body.code).toBe('sysadmin_required')
    expect((await admin('delete', `${path}/secrets/${id}`)).body.code).toBe('sysadmin_required')
    await database.sql('update users set is_platform_admin = true where id = $1', [users.root])
    expect((await request(there.url).delete(`${path}/secrets/${id}`).set(root)).status).toBe(200)
    expect((await ask({ client_id: account.username, client_secret: secret })).status).toBe(401)
    await database.sql('update users set is_platform_admin = false where id = $1', [users.root])
    expect((await admin('get', `/admin/service-accounts/${nowhere}/secrets`)).status).toBe(404)
  })

  it('leaves an event of each change, by whoever made it', async () => {
    const { id } = await makeSecret()
    await admin('delete', `${path}/secrets/${id}`)
    const events = await database.sql<{ action: string; user_id: string }>(
      `select action, user_id from audit_events where details->>'subject' = $1 order by seq`,
      [`user:${account.id}`],
    )
    expect(events).toEqual(
      ['service_account_created', 'service_secret_made', 'service_secret_revoked'].map((action) => ({
        action,
        user_id: users.petra,
      })),
    )
  })
})
