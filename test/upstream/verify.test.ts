import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import express from 'express'
import request, { type Response } from 'supertest'
import {
  IdentityError,
  createIdentityVerifier,
  verifyGatewayIdentity,
  type MiddlewareOptions,
} from '../../packages/upstream/src/index.js'
import { mandates, roles, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { partsOf, segmentOf, signByHand } from '../support/hand-signed.js'
import { sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** A key of the gateway, of which the tests know the private part too. */
interface TestKey {
  kid: string
  key: KeyObject
  jwk: Record<string, unknown>
}

function makeKey(kid: string): TestKey {
  const { privateKey: key, publicKey } = generateKeyPairSync('ed25519')
  return { kid, key, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' } }
}

const nowSeconds = () => Math.floor(Date.now() / 1000)
const goodHeader = (kid: string) => ({ alg: 'EdDSA', typ: 'gateway-identity+jwt', kid })
const goodClaims = () => ({
  iss: 'mandate-gateway',
  aud: 'crm',
  sub: 'alice',
  userId: users.alice,
  authenticationAuthority: 'local',
  sid: users.erin,
  mandateId: mandates.acme,
  roleIds: [roles.acmeAdmin],
  accessLevel: 'g',
  iat: nowSeconds(),
  exp: nowSeconds() + 60,
})

/** Signed without the library that verifies; a claim or parameter of undefined is left out. */
function signed(
  { key, kid }: TestKey,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): string {
  const input = `${segmentOf({ ...goodHeader(kid), ...header })}.${segmentOf({ ...goodClaims(), ...claims })}`
  return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
}

function expectInvalid(answer: Response): void {
  expect({ status: answer.status, body: answer.body }).toEqual({
    status: 401,
    body: {
      type: 'about:blank',
      title: 'Unauthorized',
      status: 401,
      detail: expect.any(String),
      code: 'identity_invalid',
    },
  })
  expect(answer.headers).toMatchObject({
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    'www-authenticate': 'GatewayIdentity',
  })
}

function expectUnavailable(answer: Response): void {
  expect({ status: answer.status, code: answer.body.code }).toEqual({
    status: 503,
    code: 'identity_unavailable',
  })
  expect(answer.headers).toMatchObject({
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    'retry-after': '2',
  })
}

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function listen(listener: RequestListener): Promise<string> {
  const server = express()
    .use(listener as express.RequestHandler)
    .listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A service behind the gateway, which tells whom it takes its caller for. */
async function startService(options: MiddlewareOptions): Promise<string> {
  const app = express()
  app.use(verifyGatewayIdentity(options))
  app.use((req, res) => {
    res.json(req.gatewayIdentity ?? null)
  })
  return await listen(app)
}

const ask = (service: string, identity: string) =>
  request(service).get('/').set('X-Gateway-Identity', identity)

describe('a service behind the gateway', () => {
  /** What the gateway's keys are fetched from, and how often that was done. */
  let gateway: Upstream
  let fetches = 0
  let published: TestKey[] = []
  const [current, other] = [makeKey('current'), makeKey('other')]
  const publish: RequestListener = (req, res) => {
    fetches += 1
    res.setHeader('Content-Type', 'application/json')
    res.end(
      JSON.stringify(req.url === '/.well-known/jwks.json' ? { keys: published.map(({ jwk }) => jwk) } : {}),
    )
  }
  beforeAll(async () => {
    gateway = await startUpstream()
  })
  afterAll(async () => {
    await gateway.stop()
  })
  beforeEach(() => {
    fetches = 0
    published = [current]
    gateway.answerWith(publish)
  })

  const start = (options: Partial<MiddlewareOptions> = {}) =>
    startService({ gatewayUrl: gateway.url, audience: 'crm', ...options })

  describe('is told by a valid identity', () => {
    it('who is calling, where, and with which rights', async () => {
      const service = await start()
      const answer = await ask(
        service,
        signed(current, { instanceId: mandates.globex, isSysAdmin: true, isPlatformAdmin: true }),
      ).expect(200)
      expect(answer.body).toEqual({
        userId: users.alice,
        username: 'alice',
        authority: 'local',
        sessionId: users.erin,
        mandateId: mandates.acme,
        instanceId: mandates.globex,
        roleIds: [roles.acmeAdmin],
        accessLevel: 'g',
        isSysAdmin: true,
        isPlatformAdmin: true,
      })
    })

    it('what does not apply', async () => {
      const absent = { sid: undefined, mandateId: undefined, roleIds: undefined, accessLevel: undefined }
      const answer = await ask(await start(), signed(current, absent)).expect(200)
      expect(answer.body).toEqual({
        userId: users.alice,
        username: 'alice',
        authority: 'local',
        sessionId: null,
        mandateId: null,
        instanceId: null,
        roleIds: [],
        accessLevel: null,
        isSysAdmin: false,
        isPlatformAdmin: false,
      })
    })

    it('though the clocks differ by some seconds', async () => {
      const service = await start()
      await ask(service, signed(current, { iat: nowSeconds() + 3 })).expect(200)
      await ask(service, signed(current, { iat: nowSeconds() - 63, exp: nowSeconds() - 3 })).expect(200)
    })

    it('with keys from a URL of its own, too', async () => {
      await ask(
        await startService({ jwksUrl: `${gateway.url}/.well-known/jwks.json`, audience: 'crm' }),
        signed(current),
      ).expect(200)
    })
  })

  describe('refuses', () => {
    const publicKey = createPublicKey(current.key)
    const spki = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const ago = (seconds: number) => nowSeconds() - seconds
    const forged: [string, () => string][] = [
      ['nothing', () => ''],
      ['rubbish', () => 'rubbish'],
      ['two identities in one header', () => `${signed(current)}, ${signed(current)}`],
      [
        'an identity with its claims changed',
        () =>
          [
            signed(current).split('.')[0],
            segmentOf({ ...goodClaims(), sub: 'root' }),
            signed(current).split('.')[2],
          ].join('.'),
      ],
      [
        'no signature at all',
        () => `${segmentOf({ ...goodHeader('current'), alg: 'none' })}.${segmentOf(goodClaims())}.`,
      ],
      ['the signature left out', () => signed(current).split('.').slice(0, 2).join('.') + '.'],
      ['the signature of another key', () => signed({ ...other, kid: 'current' })],
      ['a key that the header brings along', () => signed(other, {}, { jwk: other.jwk })],
      ['a header that names no key', () => signed(current, {}, { kid: undefined })],
      ['another audience', () => signed(current, { aud: 'billing' })],
      ['several audiences', () => signed(current, { aud: ['billing', 'crm'] })],
      ['no audience', () => signed(current, { aud: undefined })],
      ['another issuer', () => signed(current, { iss: 'somebody-else' })],
      ['no issuer', () => signed(current, { iss: undefined })],
      ['what expired six seconds ago', () => signed(current, { iat: ago(60), exp: ago(6) })],
      ['what never expires', () => signed(current, { exp: undefined })],
      [
        'what is older than a minute, though it says that it counts for a day',
        () => signed(current, { iat: ago(66), exp: nowSeconds() + 86_400 }),
      ],
      ['what says nothing of its age', () => signed(current, { iat: undefined })],
      ['what was signed in the future', () => signed(current, { iat: nowSeconds() + 30 })],
      ['what is not good yet', () => signed(current, { nbf: nowSeconds() + 30 })],
      ['an access token that the same key signed', () => signed(current, {}, { typ: 'at+jwt' })],
      ['any other JWT', () => signed(current, {}, { typ: 'JWT' })],
      ['a JWT without a type', () => signed(current, {}, { typ: undefined })],
      ['nobody', () => signed(current, { sub: undefined })],
      ['a username that is none', () => signed(current, { sub: 7 })],
      ['an empty username', () => signed(current, { sub: '' })],
      ['no user id', () => signed(current, { userId: undefined })],
      ['a user id that is none', () => signed(current, { userId: 'alice' })],
      ['no authority', () => signed(current, { authenticationAuthority: undefined })],
      ['a session that is none', () => signed(current, { sid: 'session' })],
      ['a mandate that is none', () => signed(current, { mandateId: null })],
      ['an instance that is none', () => signed(current, { instanceId: ['x'] })],
      ['roles that are no list', () => signed(current, { roleIds: roles.acmeAdmin })],
      ['a role that is none', () => signed(current, { roleIds: ['acme-admin'] })],
      ['a level that lets nothing be touched', () => signed(current, { accessLevel: 'n' })],
      ['a flag that is no flag', () => signed(current, { isSysAdmin: 'false' })],
    ]

    it.each(forged)('%s', async (_what, forge) => {
      const service = await start()
      expectInvalid(await ask(service, forge()))
      await ask(service, signed(current)).expect(200)
    })

    it.each([
      ['PEM', spki],
      ['PEM without its end', spki.trim()],
      ['JWK', JSON.stringify(current.jwk)],
      ['bytes', Buffer.from(String(current.jwk.x), 'base64url')],
    ])('the public key as a secret (%s)', async (_form, secret) => {
      const service = await start()
      expectInvalid(
        await ask(service, signByHand({ ...goodHeader('current'), alg: 'HS256' }, goodClaims(), { secret })),
      )
    })

    it('an algorithm that is not EdDSA without so much as fetching keys', async () => {
      const service = await start()
      expectInvalid(await ask(service, signByHand({ ...goodHeader('current'), alg: 'HS256' }, goodClaims())))
      expect(fetches).toBe(0)
    })

    it('who only says who he is', async () => {
      const answer = await request(await start())
        .get('/')
        .set({
          'X-User-Id': users.root,
          'X-Username': 'root',
          'X-Mandate-Id': mandates.acme,
          'X-Role-Ids': roles.acmeAdmin,
          'X-Access-Level': 'a',
        })
      expectInvalid(answer)
    })

    it('an identity that was sent twice, though each of the two is good', async () => {
      const answer = await sendLines(await start(), 'GET /', [
        `X-Gateway-Identity: ${signed(current)}`,
        `X-Gateway-Identity: ${signed(current)}`,
      ])
      expect({ status: answer.status, code: JSON.parse(answer.body).code }).toEqual({
        status: 401,
        code: 'identity_invalid',
      })
    })

    it('with the request’s id, and with its reasons for the service’s log only', async () => {
      const reasons: string[] = []
      const service = await start({
        onRefusal: (error, req) => {
          reasons.push(`${req.path} ${error.code} ${String(error.cause)}`)
        },
      })
      const answer = await ask(service, signed(current, { aud: 'billing' })).set('X-Request-Id', 'a-request')
      expect(answer.body.requestId).toBe('a-request')
      expect(reasons).toEqual([expect.stringMatching(/^\/ identity_invalid .*aud/)])
      expect(answer.text).not.toMatch(/aud/)
    })
  })

  describe('that lets anonymous callers pass', () => {
    it('knows nobody without an identity, whatever else is said, and refuses a wrong one', async () => {
      const service = await start({ optional: true })
      const answer = await request(service).get('/').set('X-User-Id', users.root).expect(200)
      expect(answer.body).toBeNull()
      expect((await ask(service, signed(current)).expect(200)).body.username).toBe('alice')
      expectInvalid(await ask(service, signed(other)))
      expectInvalid(await ask(service, ''))
    })
  })

  describe('fetches the keys', () => {
    it('once, when the first request comes, also for many at once', async () => {
      const service = await start()
      expect(fetches).toBe(0)
      await Promise.all(Array.from({ length: 10 }, () => ask(service, signed(current)).expect(200)))
      await ask(service, signed(current)).expect(200)
      expect(fetches).toBe(1)
    })

    it('anew for a key that is unknown, once for all who wait', async () => {
      const service = await start({ cooldownMs: 0 })
      await ask(service, signed(current)).expect(200)
      published = [other, current]
      await Promise.all(Array.from({ length: 5 }, () => ask(service, signed(other)).expect(200)))
      expect(fetches).toBe(2)
      await ask(service, signed(current)).expect(200)
      expect(fetches).toBe(2)
    })

    it('not for each key that somebody makes up: at most every half minute', async () => {
      const service = await start()
      await ask(service, signed(current)).expect(200)
      for (let made = 0; made < 5; made += 1)
        expectInvalid(await ask(service, signed(makeKey(`made-up-${made}`))))
      expect(fetches).toBe(1)
    })

    it('anew when they have grown old, and a key that is gone counts no more', async () => {
      const service = await start({ cacheMs: 0 })
      await ask(service, signed(current)).expect(200)
      published = [other]
      expectInvalid(await ask(service, signed(current)))
    })
  })

  describe('answers 503 and lets nobody pass while the keys cannot be had', () => {
    const outages: [string, RequestListener][] = [
      [
        'the gateway fails',
        (_req, res) => {
          res.writeHead(500).end('{}')
        },
      ],
      [
        'the gateway sends it elsewhere',
        (_req, res) => {
          res.writeHead(302, { Location: `${gateway.url}/elsewhere` }).end()
        },
      ],
      [
        'the answer is no JSON',
        (_req, res) => {
          res.end('<html>')
        },
      ],
      [
        'the answer is no key set',
        (_req, res) => {
          res.end('{"keys":7}')
        },
      ],
      [
        'the key is no key',
        (_req, res) => {
          res.end(JSON.stringify({ keys: [{ ...current.jwk, x: 'AAAA' }] }))
        },
      ],
      [
        'the gateway hangs up',
        (req) => {
          req.socket.destroy()
        },
      ],
      ['the gateway does not answer', () => undefined],
    ]

    it.each(outages)('%s', async (_how, outage) => {
      const service = await start({ timeoutMs: 200, cacheMs: 0 })
      gateway.answerWith(outage)
      expectUnavailable(await ask(service, signed(current)))
      gateway.answerWith(publish)
      await ask(service, signed(current)).expect(200)
    })

    it('there is no gateway', async () => {
      const gone = await startUpstream()
      await gone.stop()
      const service = await start({ gatewayUrl: gone.url })
      expectUnavailable(await ask(service, signed(current)))
      expectInvalid(await request(service).get('/'))
    })

    it('but goes on with keys that it has', async () => {
      const service = await start({ cooldownMs: 0 })
      await ask(service, signed(current)).expect(200)
      gateway.answerWith((_req, res) => {
        res.writeHead(503).end()
      })
      await ask(service, signed(current)).expect(200)
      expectUnavailable(await ask(service, signed(other)))
    })
  })

  describe('without Express', () => {
    it('asks the verifier, which answers the identity or rejects with a code', async () => {
      const { verify } = createIdentityVerifier({ gatewayUrl: gateway.url, audience: 'crm' })
      await expect(verify(signed(current))).resolves.toMatchObject({ username: 'alice', accessLevel: 'g' })
      await expect(verify(signed(current, { aud: 'billing' }))).rejects.toBeInstanceOf(IdentityError)
      await expect(verify(signed(current, { aud: 'billing' }))).rejects.toMatchObject({
        code: 'identity_invalid',
      })
      const away = createIdentityVerifier({ gatewayUrl: 'http://127.0.0.1:1', audience: 'crm' })
      await expect(away.verify(signed(current))).rejects.toMatchObject({ code: 'identity_unavailable' })
    })

    it.each([undefined, '', ['crm'], null])(
      'it cannot be made for nobody in particular: audience %j',
      (audience) => {
        const options = { gatewayUrl: gateway.url, audience } as unknown as MiddlewareOptions
        expect(() => createIdentityVerifier(options)).toThrow(TypeError)
        expect(() => verifyGatewayIdentity(options)).toThrow(TypeError)
      },
    )
  })
})

describe('a service behind a real gateway', () => {
  let service: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    service = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams:
  crm: { targets: ['${service.url}'] }
  billing: { targets: ['${service.url}'] }
routes:
  /crm: { upstream: crm, mandate: required, permission: { context: RESOURCE, item: crm } }
  /billing: { upstream: billing }
`,
    })
    const app = express()
    app.use(verifyGatewayIdentity({ gatewayUrl: gateway.url, audience: 'crm' }))
    app.use((req, res) => {
      res.json(req.gatewayIdentity)
    })
    service.answerWith(app)
  })
  afterAll(async () => {
    await gateway.stop()
    await service.stop()
  })

  it('knows the caller, and nobody who comes past the gateway or was introduced to another service', async () => {
    const { token, sid } = await tokenFor(gateway.database, 'bob')
    const bearer = { Authorization: `Bearer ${token}` }
    const answer = await request(gateway.url)
      .get('/crm/x')
      .set(bearer)
      .set('X-Mandate-Id', mandates.acme)
      .expect(200)
    expect(answer.body).toEqual({
      userId: users.bob,
      username: 'bob',
      authority: 'local',
      sessionId: sid,
      mandateId: mandates.acme,
      instanceId: null,
      roleIds: [roles.viewer],
      accessLevel: 'a',
      isSysAdmin: false,
      isPlatformAdmin: false,
    })
    expectInvalid(await request(service.url).get('/crm/x').set(bearer))
    expectInvalid(await ask(service.url, token))
    const elsewhere = await request(gateway.url).get('/billing/x').set(bearer)
    expect({ status: elsewhere.status, code: elsewhere.body.code }).toEqual({
      status: 401,
      code: 'identity_invalid',
    })
  })

  it('takes no access token for an identity', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    expect(partsOf(token).header.typ).toBe('at+jwt')
    expectInvalid(await ask(service.url, token))
  })
})
