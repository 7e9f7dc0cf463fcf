import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { loadTokenKeys } from '../../src/authentication/token-keys.js'
import { ConfigError, loadConfig } from '../../src/config.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'
import { partsOf, segmentOf, signByHand } from '../support/hand-signed.js'
import { expectProblem } from '../support/problems.js'

const ed25519 = () => generateKeyPairSync('ed25519').privateKey
const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' | 'pkcs1' = 'pkcs8') =>
  key.export({ type, format: 'pem' }).toString()
const jwk = (key: KeyObject) => JSON.stringify(key.export({ format: 'jwk' }))
/** As a file of variables holds it: one line. */
const oneLine = (key: KeyObject) => pem(key).replaceAll('\n', '\\n')

/** A signature as RFC 7518 and RFC 8037 have it, made without the gateway's library. */
function signWith(key: KeyObject, header: Record<string, unknown>, claims: Record<string, unknown>): string {
  const input = `${segmentOf(header)}.${segmentOf(claims)}`
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  return `${input}.${sign(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

/** What an attacker may know of a key, as the bytes that a careless verifier would take for a secret. */
function publicForms(key: KeyObject): (string | Buffer)[] {
  const publicKey = createPublicKey(key)
  const spki = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  return [
    spki,
    spki.trim(),
    publicKey.export({ type: 'spki', format: 'der' }),
    JSON.stringify(publicKey.export({ format: 'jwk' })),
    '',
  ]
}

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.drop()
})

const start = (algorithm: string, environment: Record<string, string>) =>
  startTestGateway({ database, environment: { AUTH_ALGORITHM: algorithm, ...environment } })
const me = (gateway: TestGateway, token: string) =>
  request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${token}`)

async function login(gateway: TestGateway): Promise<string> {
  const answer = await request(gateway.server)
    .post('/auth/token')
    .send({ grant_type: 'password', username: 'alice', password: 'demo-password-1' })
    .expect(200)
  return String(answer.body.access_token)
}

describe.each([
  ['ES256', p256],
  ['RS256', rsa],
  ['EdDSA', ed25519],
] as const)('%s', (algorithm, makeKey) => {
  const [current, previous, foreign] = [makeKey(), makeKey(), makeKey()]
  let gateway: TestGateway
  let token: string
  beforeAll(async () => {
    gateway = await start(algorithm, {
      APP_JWT_PRIVATE_KEY: pem(current),
      APP_JWT_PRIVATE_KEY_PREVIOUS: jwk(previous),
    })
    token = await login(gateway)
  })
  afterAll(async () => {
    await gateway.stop()
  })

  it('a login is signed with the key and is accepted', async () => {
    expect(partsOf(token).header).toEqual({ alg: algorithm, typ: 'at+jwt', kid: expect.any(String) })
    await me(gateway, token).expect(200)
  })

  it.each([
    ['PEM', pem],
    ['PEM in one line', oneLine],
    ['JWK', jwk],
  ] as const)(
    'the key as %s verifies what the key in another form signed, and the other way round',
    async (_form, write) => {
      const other = await start(algorithm, { APP_JWT_PRIVATE_KEY: write(current) })
      try {
        await me(other, token).expect(200)
        const theirs = await login(other)
        await me(gateway, theirs).expect(200)
        expect(partsOf(theirs).header.kid).toBe(partsOf(token).header.kid)
      } finally {
        await other.stop()
      }
    },
  )

  it('a token that another program signed with the key is accepted', async () => {
    const { claims } = partsOf(token)
    await me(gateway, signWith(current, { alg: algorithm }, claims)).expect(200)
    await me(gateway, signWith(current, { alg: algorithm, kid: 'unknown' }, claims)).expect(200)
  })

  it('the previous key still verifies, and signs nothing', async () => {
    const { claims } = partsOf(token)
    await me(gateway, signWith(previous, { alg: algorithm }, claims)).expect(200)
    expectProblem(await me(gateway, signWith(foreign, { alg: algorithm }, claims)), 401, 'token_invalid')
    const before = await start(algorithm, { APP_JWT_PRIVATE_KEY: pem(previous) })
    try {
      const old = await login(before)
      await me(gateway, old).expect(200)
      expectProblem(await me(before, await login(gateway)), 401, 'token_invalid')
    } finally {
      await before.stop()
    }
  })

  it('a token signed by HMAC with the public key is refused', async () => {
    const { header, claims } = partsOf(token)
    for (const secret of publicForms(current)) {
      expectProblem(
        await me(gateway, signByHand({ ...header, alg: 'HS256' }, claims, { secret })),
        401,
        'token_invalid',
      )
      expectProblem(await me(gateway, signByHand(header, claims, { secret })), 401, 'token_invalid')
    }
  })

  it('HS256, another algorithm and no signature are refused, though the secret of HS256 is configured', async () => {
    const hs = await tokenFor(database, 'alice')
    const { header, claims } = partsOf(token)
    expectProblem(await me(gateway, hs.token), 401, 'token_invalid')
    expectProblem(
      await me(gateway, signByHand({ ...header, alg: 'HS256' }, claims, { secret: testSecret })),
      401,
      'token_invalid',
    )
    expectProblem(
      await me(gateway, `${segmentOf({ ...header, alg: 'none' })}.${segmentOf(claims)}.`),
      401,
      'token_invalid',
    )
    const [other, otherAlgorithm] = algorithm === 'ES256' ? [ed25519(), 'EdDSA'] : [p256(), 'ES256']
    expectProblem(
      await me(gateway, signWith(other, { ...header, alg: otherAlgorithm }, claims)),
      401,
      'token_invalid',
    )
  })

  it('a key in the token’s header is ignored', async () => {
    const { header, claims } = partsOf(token)
    const brought = { ...header, kid: 'mine', jwk: createPublicKey(foreign).export({ format: 'jwk' }) }
    expectProblem(await me(gateway, signWith(foreign, brought, claims)), 401, 'token_invalid')
  })
})

describe('HS384 and HS512', () => {
  it.each([
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
  ])('%s is the only algorithm if it is configured', async (algorithm, hash) => {
    const gateway = await start(algorithm, {})
    try {
      const token = await login(gateway)
      const { header, claims } = partsOf(token)
      expect(header.alg).toBe(algorithm)
      expect(token).toBe(signByHand(header, claims, { hash }))
      await me(gateway, token).expect(200)
      expectProblem(await me(gateway, signByHand({ ...header, alg: 'HS256' }, claims)), 401, 'token_invalid')
    } finally {
      await gateway.stop()
    }
  })
})

describe('a key that cannot be used', () => {
  const spki = (key: KeyObject) => createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()
  const publicJwk = (key: KeyObject) => JSON.stringify(createPublicKey(key).export({ format: 'jwk' }))
  const encrypted = () =>
    ed25519().export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }).toString()

  const bad: [string, string, () => string][] = [
    ['text that is no key', 'ES256', () => 'not a key, whatever it is, of 32 bytes or more'],
    ['a PEM without its content', 'ES256', () => '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n'],
    ['a PEM that is cut', 'ES256', () => pem(p256()).slice(0, 80)],
    ['an encrypted PEM', 'EdDSA', encrypted],
    ['a public PEM', 'ES256', () => spki(p256())],
    ['a public JWK', 'ES256', () => publicJwk(p256())],
    ['a public RSA JWK', 'RS256', () => publicJwk(rsa())],
    [
      'a symmetric JWK',
      'ES256',
      () => JSON.stringify({ kty: 'oct', k: Buffer.from(testSecret).toString('base64url') }),
    ],
    ['a JWK that is no JSON', 'ES256', () => '{"kty":"EC"'],
    ['an empty JWK', 'ES256', () => '{}'],
    ['P-384 for ES256', 'ES256', () => pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)],
    [
      'secp256k1 for ES256',
      'ES256',
      () => pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey),
    ],
    ['Ed25519 for ES256', 'ES256', () => pem(ed25519())],
    ['RSA for ES256', 'ES256', () => pem(rsa())],
    ['P-256 for RS256', 'RS256', () => jwk(p256())],
    [
      'RSA of 1024 bits for RS256',
      'RS256',
      () => pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey),
    ],
    [
      'RSA-PSS for RS256',
      'RS256',
      () => pem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey),
    ],
    ['P-256 for EdDSA', 'EdDSA', () => pem(p256())],
    ['X25519 for EdDSA', 'EdDSA', () => pem(generateKeyPairSync('x25519').privateKey)],
    ['Ed448 for EdDSA', 'EdDSA', () => pem(generateKeyPairSync('ed448').privateKey)],
  ]

  const load = async (environment: Record<string, string>) =>
    await loadTokenKeys(loadConfig({ DATABASE_URL: 'postgres://localhost/none', ...environment }))
  const faultsOf = async (environment: Record<string, string>): Promise<string[]> => {
    const error: unknown = await load(environment).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).faults
  }

  it.each(bad)(
    '%s is a fault of the configuration that names the variable and not the key',
    async (_name, algorithm, write) => {
      const value = write()
      const faults = await faultsOf({ AUTH_ALGORITHM: algorithm, APP_JWT_PRIVATE_KEY: value })
      expect(faults).toEqual([expect.stringMatching(/^APP_JWT_PRIVATE_KEY: /)])
      expect(faults.join()).not.toContain(value.slice(30, 60).trim() || value)
    },
  )

  it('a bad previous key is a fault too, by its own name', async () => {
    const faults = await faultsOf({
      AUTH_ALGORITHM: 'ES256',
      APP_JWT_PRIVATE_KEY: pem(p256()),
      APP_JWT_PRIVATE_KEY_PREVIOUS: pem(ed25519()),
    })
    expect(faults).toEqual([expect.stringMatching(/^APP_JWT_PRIVATE_KEY_PREVIOUS: /)])
  })

  it.each(['ES256', 'RS256', 'EdDSA'])(
    '%s without a key is a fault, though there is a secret',
    async (algorithm) => {
      expect(await faultsOf({ AUTH_ALGORITHM: algorithm, APP_JWT_KEY_SECRET: testSecret })).toEqual([
        expect.stringMatching(/^APP_JWT_PRIVATE_KEY: /),
      ])
    },
  )

  it('a secret of less than 32 bytes is a fault; bytes count, not characters', async () => {
    expect(await faultsOf({ APP_JWT_KEY_SECRET: 'x'.repeat(31) })).toEqual([
      expect.stringMatching(/^APP_JWT_KEY_SECRET: /),
    ])
    await expect(load({ APP_JWT_KEY_SECRET: 'ü'.repeat(16) })).resolves.toMatchObject({ algorithm: 'HS256' })
  })

  it.each(['none', 'hs256', 'PS256', 'ES384', 'HS1'])(
    '%s cannot be chosen as the algorithm',
    async (algorithm) => {
      expect(await faultsOf({ AUTH_ALGORITHM: algorithm, APP_JWT_KEY_SECRET: testSecret })).toEqual([
        expect.stringMatching(/^AUTH_ALGORITHM: /),
      ])
    },
  )

  it('keys in the forms that openssl writes are accepted', async () => {
    const [ec, modulus] = [p256(), rsa()]
    for (const [algorithm, value] of [
      ['ES256', pem(ec, 'sec1')],
      ['ES256', `\n${jwk(ec)}\n`],
      ['RS256', pem(modulus, 'pkcs1')],
    ] as const) {
      const keys = await load({ AUTH_ALGORITHM: algorithm, APP_JWT_PRIVATE_KEY: value })
      expect(keys.algorithm).toBe(algorithm)
    }
  })

  it('Auth_ALGORITHM is read as AUTH_ALGORITHM', async () => {
    await expect(
      load({ Auth_ALGORITHM: 'EdDSA', APP_JWT_PRIVATE_KEY: pem(ed25519()) }),
    ).resolves.toMatchObject({ algorithm: 'EdDSA' })
  })
})
