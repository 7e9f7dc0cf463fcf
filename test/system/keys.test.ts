import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { loadTokenKeys } from '../../src/authentication/token-keys.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor, users } from '../support/demo.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'
import { bearer } from '../support/http-client.js'

const newSecret = 'another-secret-0123456789-abcdefghijklmnop'
const kidOf = async (secret: string) =>
  (await loadTokenKeys({ AUTH_ALGORITHM: 'HS256', APP_JWT_KEY_SECRET: secret })).signing.kid

let database: TestDatabase
const running: TestGateway[] = []
beforeAll(async () => {
  database = await createTestDatabase()
})
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop()
  await database.sql('delete from token_keys')
})
afterAll(async () => {
  await database.drop()
})

async function start(environment: Record<string, string> = {}): Promise<TestGateway> {
  const gateway = await startTestGateway({
    database,
    environment: { COHERENCE_LEASE_MS: '5000', ...environment },
  })
  running.push(gateway)
  return gateway
}

const me = async ({ url }: TestGateway, token: string) =>
  (await request(url).get('/auth/me').set(bearer(token))).status
const logIn = async ({ url }: TestGateway, username: string) => {
  const { status, body } = await request(url)
    .post('/auth/token')
    .type('form')
    .send({ grant_type: 'password', username, password: 'demo-password-1' })
  return { status, token: String(body.access_token) }
}
const rotated = { APP_JWT_KEY_SECRET: newSecret, APP_JWT_KEY_SECRET_PREVIOUS: testSecret }

const pem = { type: 'pkcs8', format: 'pem' } as const
const makers: Record<string, () => string> = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(pem).toString(),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(pem).toString(),
  EdDSA: () => generateKeyPairSync('ed25519').privateKey.export(pem).toString(),
}
const secretMaker = () => `${randomUUID()}${randomUUID()}`

describe('a rotation', () => {
  it.each(['HS256', 'HS384', 'HS512', 'ES256', 'RS256', 'EdDSA'])(
    'of a key for %s logs nobody out, and without the old key nobody of before is let in',
    async (algorithm) => {
      const symmetric = algorithm.startsWith('HS')
      const variable = symmetric ? 'APP_JWT_KEY_SECRET' : 'APP_JWT_PRIVATE_KEY'
      const [before, after] = [0, 1].map(() => (makers[algorithm] ?? secretMaker)()) as [string, string]
      const old = await logIn(await start({ AUTH_ALGORITHM: algorithm, [variable]: before }), 'alice')
      const both = await start({
        AUTH_ALGORITHM: algorithm,
        [variable]: after,
        [`${variable}_PREVIOUS`]: before,
      })
      const fresh = await logIn(both, 'alice')
      expect([await me(both, old.token), await me(both, fresh.token)]).toEqual([200, 200])
      const onlyNew = await start({ AUTH_ALGORITHM: algorithm, [variable]: after })
      expect([await me(onlyNew, old.token), await me(onlyNew, fresh.token)]).toEqual([401, 200])
    },
  )
})

describe('a key that is retired', () => {
  it('is refused by every node once the DELETE has answered; tokens of the other key stay', async () => {
    const [here, there] = [await start(rotated), await start(rotated)]
    const { token: root } = await logIn(there, 'root')
    const { token: fresh } = await logIn(there, 'alice')
    const old = await Promise.all(
      Array.from({ length: 20 }, async () => (await tokenFor(database, 'alice')).token),
    )
    // both remember them
    for (const token of old) expect([await me(here, token), await me(there, token)]).toEqual([200, 200])
    const { status, body } = await request(there.url)
      .delete(`/system/keys/${await kidOf(testSecret)}`)
      .set(bearer(root))
    expect([status, body]).toEqual([
      200,
      { coherence: { epoch: expect.any(String), acked: 2, fenced: 0, waitedMs: expect.any(Number) } },
    ])
    for (const token of old) expect([await me(here, token), await me(there, token)]).toEqual([401, 401])
    expect([await me(here, fresh), await me(there, fresh)]).toEqual([200, 200])
    const items = (await request(here.url).get('/system/keys').set(bearer(root))).body.items as {
      kid: string
      state: string
    }[]
    expect(items.map(({ state }) => state)).toEqual(['signing', 'retired', 'signing', 'signing'])
    const events = await database.sql('select user_id, details from audit_events where action = $1', [
      'key_retired',
    ])
    expect(events).toEqual([
      {
        user_id: users.root,
        details: expect.objectContaining({ subject: `key:${await kidOf(testSecret)}` }),
      },
    ])
  })

  it('stays retired where a node starts with it again', async () => {
    const gateway = await start(rotated)
    const { token: root } = await logIn(gateway, 'root')
    await request(gateway.url)
      .delete(`/system/keys/${await kidOf(testSecret)}`)
      .set(bearer(root))
      .expect(200)
    const again = await start()
    expect(await me(again, (await tokenFor(database, 'alice')).token)).toBe(401)
  })

  it('is noticed when somebody retires it with plain SQL', async () => {
    const gateway = await start(rotated)
    const { token } = await tokenFor(database, 'alice')
    expect(await me(gateway, token)).toBe(200)
    await database.sql('update token_keys set retired_at = now() where kid = $1', [await kidOf(testSecret)])
    const { token: root } = await logIn(gateway, 'root')
    // all have heard of what was before
    await request(gateway.url)
      .delete(`/system/tokens/${(await tokenFor(database, 'erin')).jti}`)
      .set(bearer(root))
      .expect(200)
    expect(await me(gateway, token)).toBe(401)
  })

  it('is not the one that signs, unless it is insisted on: then nothing that it signs counts', async () => {
    const gateway = await start()
    const { token: root } = await logIn(gateway, 'root')
    const path = `/system/keys/${await kidOf(testSecret)}`
    expect((await request(gateway.url).delete(path).set(bearer(root))).body.code).toBe('conflict')
    expect(await me(gateway, root)).toBe(200)
    await request(gateway.url).delete(`${path}?force=1`).set(bearer(root)).expect(200)
    expect(await me(gateway, root)).toBe(401)
    expect((await logIn(gateway, 'alice')).status).toBe(503) // rather than a token that nobody takes
  })
})

describe('/system/keys', () => {
  it('names keys and what they do, and says nothing of their material', async () => {
    const gateway = await start(rotated)
    const { token: root } = await logIn(gateway, 'root')
    const { status, body, text } = await request(gateway.url).get('/system/keys').set(bearer(root))
    expect(status).toBe(200)
    expect(
      body.items.map(({ use, state, algorithm }: Record<string, string>) => [use, state, algorithm]),
    ).toEqual([
      ['access_token', 'signing', 'HS256'],
      ['access_token', 'verifying', 'HS256'],
      ['identity', 'signing', 'EdDSA'],
      ['seal', 'signing', 'HS256'],
    ])
    expect(Object.keys(body.items[0] as object).sort()).toEqual(['algorithm', 'kid', 'since', 'state', 'use'])
    for (const secret of [testSecret, newSecret, `${testSecret}-portal`]) expect(text).not.toContain(secret)
  })

  it('makes and removes identity keys: what is published follows at once', async () => {
    const gateway = await start()
    const { token: root } = await logIn(gateway, 'root')
    const published = async () =>
      ((await request(gateway.url).get('/.well-known/jwks.json')).body.keys as { kid: string }[]).map(
        ({ kid }) => kid,
      )
    const [first] = await published()
    const made = await request(gateway.url).post('/system/keys/rotate').set(bearer(root))
    expect([made.status, made.body]).toEqual([
      201,
      {
        kid: expect.any(String),
        algorithm: 'EdDSA',
        use: 'identity',
        state: 'verifying',
        since: expect.any(String),
      },
    ])
    expect(await published()).toEqual([made.body.kid, first])
    await request(gateway.url).delete(`/system/keys/${first!}`).set(bearer(root)).expect(200)
    expect(await published()).toEqual([made.body.kid])
    await request(gateway.url)
      .delete(`/system/keys/${String(made.body.kid)}`)
      .set(bearer(root))
      .expect(200)
    expect(await published()).toHaveLength(1) // never without one
    expect(await published()).not.toContain(made.body.kid)
  })

  it('refuses what no key is called, the seal, and everybody but SysAdmins', async () => {
    const gateway = await start()
    const { token: root } = await logIn(gateway, 'root')
    const { token: petra } = await logIn(gateway, 'petra')
    const items = (await request(gateway.url).get('/system/keys').set(bearer(root))).body.items as {
      kid: string
      use: string
    }[]
    expect((await request(gateway.url).delete('/system/keys/nothing').set(bearer(root))).status).toBe(404)
    expect(
      (
        await request(gateway.url)
          .delete(`/system/keys/${items.find(({ use }) => use === 'seal')!.kid}`)
          .set(bearer(root))
      ).status,
    ).toBe(409)
    for (const [method, path] of [
      ['get', '/system/keys'],
      ['post', '/system/keys/rotate'],
      ['delete', `/system/keys/${items[0]!.kid}`],
    ] as const) {
      expect((await request(gateway.url)[method](path).set(bearer(petra))).body.code).toBe(
        'sysadmin_required',
      )
    }
  })
})
