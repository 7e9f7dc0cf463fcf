import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request, { type Response } from 'supertest'
import { directoryOf } from '../support/directory.js'
import { instances, mandates, tokenFor, users, type DemoUser, type RowShape } from '../support/demo.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'
import { partsOf, segmentOf, signByHand, signSegments, type TokenParts } from '../support/hand-signed.js'
import { expectProblem } from '../support/problems.js'
import { codeOf, sendLines } from '../support/raw-http.js'
import { withoutTable } from '../support/tables.js'
import { until } from '../support/until.js'

/** Not ASCII, and not trimmed: a secret is the bytes that it is. */
const previousSecret = ' früherer Schlüssel, länger als 32 Byte\n'
const otherSecret = 'another-secret-0123456789-abcdefghijklm'

const day = 24 * 60 * 60
const now = () => Math.floor(Date.now() / 1000)

let gateway: TestGateway
/** A valid login of alice; each test bends its token, none its rows. */
let alice: { token: string; jti: string; sid: string } & TokenParts

beforeAll(async () => {
  // Without memory: rows that a test changes count with the next request.
  gateway = await startTestGateway({
    environment: { APP_JWT_KEY_SECRET_PREVIOUS: previousSecret, COHERENCE_LEASE_MS: '0' },
  })
  const login = await tokenFor(gateway.database, 'alice')
  alice = { ...login, ...partsOf(login.token) }
})
afterAll(async () => {
  await gateway.stop()
})

const me = (token: string) => request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${token}`)
const withClaims = (claims: Record<string, unknown>) =>
  signByHand(alice.header, { ...alice.claims, ...claims })
const withHeader = (header: Record<string, unknown>) =>
  signByHand({ ...alice.header, ...header }, alice.claims)
const without = (from: Record<string, unknown>, name: string) =>
  Object.fromEntries(Object.entries(from).filter(([key]) => key !== name))
const withoutClaim = (name: string) => signByHand(alice.header, without(alice.claims, name))

/** The claims as JSON text in which one is written by hand: numbers that JSON.stringify would not write. */
const withRawClaim = (name: string, text: string) =>
  signByHand(alice.header, JSON.stringify(without(alice.claims, name)).replace(/\}$/, `,"${name}":${text}}`))

const expectInvalid = (answer: Response) =>
  expectProblem(answer, 401, 'token_invalid', 'Invalid authentication credentials')

async function expectAccepted(token: string): Promise<void> {
  const answer = await me(token)
  expect({ status: answer.status, username: answer.body.user?.username }).toEqual({
    status: 200,
    username: 'alice',
  })
  expect(answer.headers['cache-control']).toBe('no-store')
}

/** A login of `user` whose row and claims are bent. */
const loginOf = async (user: DemoUser, claims: Record<string, unknown> = {}, row: RowShape = {}) =>
  (await tokenFor(gateway.database, user, { claims, row })).token

/** A segment whose last character carries bits that no byte takes: it decodes alike and is not canonical. */
function withStrayBits(segment: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  if (segment.length % 4 === 0) throw new Error('a segment of whole groups has no stray bits')
  const stray = segment.slice(0, -1) + alphabet.charAt(alphabet.indexOf(segment.slice(-1)) + 1)
  expect(Buffer.from(stray, 'base64url')).toEqual(Buffer.from(segment, 'base64url'))
  return stray
}

/** The JSON of `parts`, in a length whose encoding ends within a group. */
function unevenSegment(part: Record<string, unknown>): string {
  const text = JSON.stringify(part)
  return segmentOf(text.length % 3 === 0 ? `${text} ` : text)
}

/** A valid token of exactly `length` characters. */
function tokenOfLength(length: number): string {
  for (const kid of ['', '1', '12', '123']) {
    const header = segmentOf({ ...alice.header, kid })
    const pad = (size: number) => signSegments(header, segmentOf({ ...alice.claims, pad: 'x'.repeat(size) }))
    const missing = length - pad(0).length
    for (let size = Math.floor((missing * 3) / 4) - 2; size <= Math.ceil((missing * 3) / 4) + 2; size += 1) {
      if (pad(size).length === length) return pad(size)
    }
  }
  throw new Error(`no token is ${length} characters long`)
}

describe('row 0: a request that names its caller or its place twice', () => {
  const host = () => new URL(gateway.url).host
  const bearer = () => `Authorization: Bearer ${alice.token}`

  it.each<[string, string, () => string[]]>([
    ['Authorization', 'the same', () => [bearer(), bearer()]],
    ['Authorization', 'in another case of its name', () => [bearer(), 'AUTHORIZATION: Basic YTpi']],
    ['Host', 'the same', () => [bearer(), `Host: ${host()}`]],
    ['Host', 'another', () => ['host: elsewhere.example', bearer()]],
    [
      'X-Mandate-Id',
      'the same',
      () => [bearer(), `X-Mandate-Id: ${mandates.acme}`, `X-Mandate-Id: ${mandates.acme}`],
    ],
    [
      'X-Mandate-Id',
      'another',
      () => [bearer(), `X-Mandate-Id: ${mandates.acme}`, `x-mandate-id: ${mandates.globex}`],
    ],
    [
      'X-Instance-Id',
      'an empty one',
      () => [bearer(), `X-Instance-Id: ${instances.acmeCrm}`, 'X-Instance-Id: '],
    ],
  ])('%s sent twice, %s, is header_ambiguous', async (_name, _how, lines) => {
    const answer = await sendLines(gateway.url, 'GET /auth/context', lines())
    expect([answer.status, codeOf(answer)]).toEqual([400, 'header_ambiguous'])
    expect(answer.headers).not.toHaveProperty('set-cookie')
  })

  it.each(['GET /auth/me', 'POST /auth/logout', 'GET /api/crm/contacts'])(
    '%s refuses it too, before it looks for a token',
    async (line) => {
      const answer = await sendLines(gateway.url, line, [
        `X-Mandate-Id: ${mandates.acme}`,
        `X-Mandate-Id: ${mandates.globex}`,
      ])
      expect([answer.status, codeOf(answer)]).toEqual([400, 'header_ambiguous'])
    },
  )

  it.each<[string, (a: string, b: string) => string[]]>([
    ['in one line', (a, b) => [`Cookie: auth_token=${a}; auth_token=${b}`]],
    ['in two lines', (a, b) => [`Cookie: auth_token=${a}`, `Cookie: theme=dark;auth_token=${b}`]],
  ])('two auth_token cookies that differ, %s, are header_ambiguous', async (_name, lines) => {
    const other = await loginOf('alice')
    for (const [a, b] of [
      [alice.token, other],
      [alice.token, ''],
      ['', alice.token],
    ] as const) {
      const answer = await sendLines(gateway.url, 'GET /auth/me', lines(a, b))
      expect([answer.status, codeOf(answer)]).toEqual([400, 'header_ambiguous'])
    }
  })

  it('two auth_token cookies that are the same are one', async () => {
    await request(gateway.server)
      .get('/auth/me')
      .set('Cookie', `auth_token=${alice.token}; auth_token=${alice.token}`)
      .expect(200)
  })
})

describe('row 1: where the token is taken from', () => {
  it.each<[string, Record<string, string>]>([
    ['no header at all', {}],
    ['an empty cookie', { Cookie: 'auth_token=' }],
    ['an empty cookie and another scheme', { Cookie: 'auth_token=', Authorization: 'Basic YWxpY2U6eA==' }],
    [
      'a cookie of another name',
      { Cookie: 'auth_tokens=x; xauth_token=y; Auth_Token=z; refresh_token=r; portal_session=p' },
    ],
    ['another scheme', { Authorization: 'Basic YWxpY2U6eA==' }],
    ['a scheme that only begins alike', { Authorization: 'BearerX abc' }],
    ['a scheme without a token', { Authorization: 'Bearer' }],
    ['a scheme and a blank', { Authorization: 'Bearer ' }],
  ])('%s is authentication_required', async (_name, headers) => {
    const answer = await request(gateway.server).get('/auth/me').set(headers)
    expectProblem(answer, 401, 'authentication_required', 'Not authenticated')
    // RFC 6750 §3.1: who sent no token is told no error
    expect(answer.headers['www-authenticate']).not.toContain('error')
  })

  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('the scheme may be written %s', async (scheme) => {
    await request(gateway.server).get('/auth/me').set('Authorization', `${scheme} ${alice.token}`).expect(200)
  })

  it('the cookie counts before the header', async () => {
    const bob = await loginOf('bob')
    const answer = await request(gateway.server)
      .get('/auth/me')
      .set({ Cookie: `auth_token=${alice.token}`, Authorization: `Bearer ${bob}` })
      .expect(200)
    expect(answer.body.user.username).toBe('alice')
  })

  it('a bad cookie is refused beside a good header', async () => {
    expectInvalid(
      await request(gateway.server)
        .get('/auth/me')
        .set({ Cookie: 'auth_token=x', Authorization: `Bearer ${alice.token}` }),
    )
  })

  it('an expired cookie is refused beside a good header', async () => {
    const answer = await request(gateway.server)
      .get('/auth/me')
      .set({ Cookie: `auth_token=${withClaims({ exp: now() - 1 })}`, Authorization: `Bearer ${alice.token}` })
    expectProblem(answer, 401, 'token_expired', 'Token has expired')
  })

  it('an empty cookie gives way to the header', async () => {
    await request(gateway.server)
      .get('/auth/me')
      .set({ Cookie: 'auth_token=', Authorization: `Bearer ${alice.token}` })
      .expect(200)
  })

  it('a token in the query is ignored', async () => {
    const answer = await request(gateway.server).get(
      `/auth/me?access_token=${alice.token}&token=${alice.token}`,
    )
    expectProblem(answer, 401, 'authentication_required', 'Not authenticated')
  })

  it('the caller is checked before the place', async () => {
    const answer = await request(gateway.server).get('/auth/context').set('X-Mandate-Id', 'nonsense')
    expectProblem(answer, 401, 'authentication_required', 'Not authenticated')
    expectInvalid(await me('x').set('X-Mandate-Id', 'nonsense'))
  })
})

describe('row 2: a token that is not one of this gateway', () => {
  const segments = () => alice.token.split('.') as [string, string, string]

  it('is refused with error="invalid_token" (RFC 6750)', async () => {
    const answer = await me('x.y.z')
    expectInvalid(answer)
    expect(answer.headers['www-authenticate']).toContain('error="invalid_token"')
  })

  it('is refused alike in a cookie and in a header', async () => {
    expectInvalid(await request(gateway.server).get('/auth/me').set('Cookie', 'auth_token=x.y.z'))
  })

  it('is refused alike on a route of the route table', async () => {
    expectInvalid(
      await request(gateway.server)
        .get('/api/crm/contacts')
        .set({ Authorization: 'Bearer x.y.z', 'X-Mandate-Id': mandates.acme }),
    )
  })

  it.each<[string, () => string]>([
    ['one segment', () => segments()[0]],
    ['two segments', () => segments().slice(0, 2).join('.')],
    ['four segments', () => `${alice.token}.${segments()[2]}`],
    ['an empty segment at its end', () => `${alice.token}.`],
    ['an empty segment before it', () => `.${alice.token}`],
    ['five segments, as an encrypted token has', () => `${alice.token}.x.y`],
    ['an empty signature', () => `${segments()[0]}.${segments()[1]}.`],
    ['an empty header', () => signSegments('', segments()[1])],
    ['an empty payload', () => signSegments(segments()[0], '')],
    [
      'stray bits in the header',
      () => signSegments(withStrayBits(unevenSegment(alice.header)), segments()[1]),
    ],
    [
      'stray bits in the payload',
      () => signSegments(segments()[0], withStrayBits(unevenSegment(alice.claims))),
    ],
    [
      'stray bits in the signature',
      () => `${segments()[0]}.${segments()[1]}.${withStrayBits(segments()[2])}`,
    ],
    [
      'padding of the header',
      () => {
        const header = unevenSegment(alice.header)
        return signSegments(header + '='.repeat(4 - (header.length % 4)), segments()[1])
      },
    ],
    [
      'padding of the payload',
      () => {
        const claims = unevenSegment(alice.claims)
        return signSegments(segments()[0], claims + '='.repeat(4 - (claims.length % 4)))
      },
    ],
    ['padding of the signature', () => `${alice.token}=`],
    ['white space in the header', () => signSegments(`${segments()[0]} `, segments()[1])],
    ['white space in the payload', () => signSegments(segments()[0], ` ${segments()[1]}`)],
    ['white space in the signature', () => alice.token.replace(/(.{5})$/, ' $1')],
    ['a tab in the signature', () => alice.token.replace(/(.{5})$/, '\t$1')],
    [
      'the other base64 alphabet in the payload',
      () => {
        const claims = segmentOf({ ...alice.claims, pad: '>>>???>>>' })
        expect(claims).toMatch(/[-_]/)
        return signSegments(segments()[0], claims.replaceAll('-', '+').replaceAll('_', '/'))
      },
    ],
    ['a character that is none of base64', () => signSegments(segments()[0], `${segments()[1]}*`)],
    [
      'a segment of one character too many',
      () => signSegments(segments()[0], `${segmentOf({ ...alice.claims, pad: '' }).replace(/.{0,3}$/, '')}A`),
    ],
  ])('%s is token_invalid', async (_name, forge) => {
    expectInvalid(await me(forge()))
  })

  it('is accepted up to 8 KiB, and refused with a byte more', async () => {
    const [longest, tooLong] = [tokenOfLength(8192), tokenOfLength(8193)]
    await expectAccepted(longest)
    expectInvalid(await me(tooLong))
  })

  const notObjects: [string, unknown][] = [
    ['an array', []],
    ['an array of an object', [{}]],
    ['null', 'null'],
    ['a number', '1'],
    ['true', 'true'],
    ['a string', '"{}"'],
    ['no JSON', 'x'],
    ['an object and more', '{}{}'],
    ['an object with a comma at its end', '{"alg":"HS256",}'],
  ]
  it.each(notObjects)('a header that is %s is token_invalid', async (_name, header) => {
    expectInvalid(await me(signByHand(header, alice.claims)))
  })
  it.each(notObjects)('a payload that is %s is token_invalid', async (_name, claims) => {
    expectInvalid(await me(signByHand(alice.header, claims)))
  })
  it('a payload that is not UTF-8 is token_invalid', async () => {
    const claims = Buffer.concat([
      Buffer.from(JSON.stringify({ ...alice.claims, pad: '' }).replace(/"\}$/, '')),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ])
    expectInvalid(await me(signByHand(alice.header, claims)))
  })

  it.each<[string, () => string]>([
    ['another secret', () => signByHand(alice.header, alice.claims, { secret: otherSecret })],
    ['an empty secret', () => signByHand(alice.header, alice.claims, { secret: '' })],
    [
      'the secret of the portal',
      () => signByHand(alice.header, alice.claims, { secret: `${testSecret}-portal` }),
    ],
    [
      'the previous secret without its white space',
      () => signByHand(alice.header, alice.claims, { secret: previousSecret.trim() }),
    ],
    ['another hash', () => signByHand(alice.header, alice.claims, { hash: 'sha512' })],
    ['half the signature', () => alice.token.slice(0, -21)],
    [
      'the signature of other claims',
      () =>
        `${segments()[0]}.${segmentOf({ ...alice.claims, sub: 'root', userId: users.root })}.${segments()[2]}`,
    ],
    [
      'a key that the header brings along',
      () =>
        signByHand(
          {
            ...alice.header,
            jwk: { kty: 'oct', k: Buffer.from(otherSecret).toString('base64url') },
            kid: 'mine',
          },
          alice.claims,
          { secret: otherSecret },
        ),
    ],
  ])('a signature by %s is token_invalid', async (_name, forge) => {
    expectInvalid(await me(forge()))
  })

  it.each<[string, () => string]>([
    ['none, unsigned', () => `${segmentOf({ ...alice.header, alg: 'none' })}.${segments()[1]}.`],
    ['None, unsigned', () => `${segmentOf({ ...alice.header, alg: 'None' })}.${segments()[1]}.`],
    ['none, signed', () => withHeader({ alg: 'none' })],
    [
      'HS384, rightly signed',
      () => signByHand({ ...alice.header, alg: 'HS384' }, alice.claims, { hash: 'sha384' }),
    ],
    [
      'HS512, rightly signed',
      () => signByHand({ ...alice.header, alg: 'HS512' }, alice.claims, { hash: 'sha512' }),
    ],
    ['HS384, signed as HS256', () => withHeader({ alg: 'HS384' })],
    ['hs256 in lower case', () => withHeader({ alg: 'hs256' })],
    ['ES256', () => withHeader({ alg: 'ES256' })],
    ['RS256', () => withHeader({ alg: 'RS256' })],
    ['a list', () => withHeader({ alg: ['HS256'] })],
    ['missing', () => signByHand(without(alice.header, 'alg'), alice.claims)],
  ])('an alg that is not the pinned one (%s) is token_invalid', async (_name, forge) => {
    expectInvalid(await me(forge()))
  })

  it.each<[string, unknown]>([
    ['crit', ['exp']],
    ['crit', []],
    ['crit', null],
    ['crit', ['b64']],
    ['b64', true],
    ['b64', false],
    ['b64', null],
    ['zip', 'DEF'],
    ['zip', ''],
    ['zip', null],
  ])('a header with %s: %j is token_invalid', async (name, value) => {
    expectInvalid(await me(withHeader({ [name]: value })))
  })

  it.each<[unknown]>([
    ['rt+jwt'],
    ['application/at+jwt'],
    ['id_token'],
    ['JWE'],
    ['JWTX'],
    [' JWT'],
    [''],
    [null],
    [5],
    [['JWT']],
    ['jwt\n'],
  ])('typ %j is token_invalid', async (typ) => {
    expectInvalid(await me(withHeader({ typ })))
  })

  it('exp missing is token_invalid', async () => {
    expectInvalid(await me(withoutClaim('exp')))
  })

  it.each(
    ['exp', 'nbf', 'iat'].flatMap((claim) =>
      ['1e999', '-1e999', '"1900000000"', '"x"', 'null', 'true', 'false', '[1]', '{}'].map((text) => [
        claim,
        text,
      ]),
    ),
  )('%s: %s, no finite number, is token_invalid', async (claim, text) => {
    expectInvalid(await me(withRawClaim(claim, text)))
  })

  it.each<[string, () => string]>([
    ['over 400 days after iat', () => withClaims({ iat: now() - 100, exp: now() - 100 + 400 * day + 1 })],
    ['over 400 days after an iat long ago', () => withClaims({ iat: 0, exp: now() + 900 })],
    [
      'over 400 days after now, without iat',
      () => signByHand(alice.header, { ...without(alice.claims, 'iat'), exp: now() + 400 * day + 60 }),
    ],
    ['in the far future', () => withClaims({ exp: Number.MAX_SAFE_INTEGER })],
  ])('exp %s is token_invalid', async (_name, forge) => {
    expectInvalid(await me(forge()))
  })

  it.each([['nbf'], ['iat']])(
    '%s over 5 s in the future is token_invalid, up to 5 s is not',
    async (claim) => {
      expectInvalid(await me(withClaims({ [claim]: now() + 10 })))
      expectInvalid(await me(withClaims({ [claim]: now() + 3600 })))
      await expectAccepted(withClaims({ [claim]: now() + 4 }))
    },
  )

  it.each<[unknown]>([
    ['someone-else'],
    ['Mandate-Gateway'],
    ['mandate-gateway '],
    ['https://mandate-gateway'],
    [''],
    [null],
    [1],
    [['mandate-gateway']],
  ])('iss %j is token_invalid', async (iss) => {
    expectInvalid(await me(withClaims({ iss })))
  })

  it.each<[string, () => string]>([
    [
      'wrong signature',
      () => signByHand(alice.header, { ...alice.claims, exp: now() - 60 }, { secret: otherSecret }),
    ],
    [
      'another alg',
      () =>
        signByHand(
          { ...alice.header, alg: 'HS512' },
          { ...alice.claims, exp: now() - 60 },
          { hash: 'sha512' },
        ),
    ],
    ['another typ', () => signByHand({ ...alice.header, typ: 'x' }, { ...alice.claims, exp: now() - 60 })],
    ['crit', () => signByHand({ ...alice.header, crit: ['exp'] }, { ...alice.claims, exp: now() - 60 })],
    ['another iss', () => withClaims({ exp: now() - 60, iss: 'x' })],
    ['nbf in the future', () => withClaims({ exp: now() - 60, nbf: now() + 60 })],
    ['iat in the future', () => withClaims({ exp: now() - 60, iat: now() + 60 })],
    ['an iat that is no number', () => withClaims({ exp: now() - 60, iat: 'x' })],
    ['an exp over 400 days after iat', () => withClaims({ exp: now() - 60, iat: now() - 60 - 401 * day })],
  ])('an expired token with %s is row 2, not row 3', async (_name, forge) => {
    expectInvalid(await me(forge()))
  })
})

describe('row 3: an expired token', () => {
  const expectExpired = (answer: Response) => expectProblem(answer, 401, 'token_expired', 'Token has expired')

  it.each<[string, () => string]>([
    ['a second ago', () => withClaims({ exp: now() - 1 })],
    ['now, without leeway', () => withClaims({ exp: now() })],
    ['a fraction of a second ago', () => withClaims({ exp: Date.now() / 1000 - 0.01 })],
    ['at 0', () => withClaims({ exp: 0 })],
    ['before 1970', () => withClaims({ exp: -1 })],
    ['a second ago, with an nbf 4 s ahead', () => withClaims({ exp: now() - 1, nbf: now() + 3 })],
  ])('%s is token_expired', async (_name, forge) => {
    const answer = await me(forge())
    expectExpired(answer)
    expect(answer.headers['www-authenticate']).toContain('error="invalid_token"')
  })

  it('in a cookie is token_expired, and the cookie stays', async () => {
    expectExpired(
      await request(gateway.server)
        .get('/auth/me')
        .set('Cookie', `auth_token=${withClaims({ exp: now() - 1 })}`),
    )
  })

  it.each(['sub', 'userId', 'jti'])('without %s it is row 3, not row 4', async (claim) => {
    expectExpired(await me(signByHand(alice.header, { ...without(alice.claims, claim), exp: now() - 60 })))
  })

  it('of an unknown or disabled user it is row 3, not row 5 or 6', async () => {
    expectExpired(await me(withClaims({ sub: 'nobody', exp: now() - 60 })))
    expectExpired(await me(await loginOf('dave', { exp: now() - 60 })))
  })
})

describe('row 4: claims that identify no user', () => {
  it.each(['sub', 'userId', 'jti'])('%s missing is token_invalid', async (claim) => {
    expectInvalid(await me(withoutClaim(claim)))
  })
  it.each(
    ['sub', 'userId', 'jti'].flatMap((claim) => [null, 1, true, {}].map((value) => [claim, value] as const)),
  )('%s: %j, no string, is token_invalid', async (claim, value) => {
    expectInvalid(await me(withClaims({ [claim]: value })))
  })
  it.each(['sub', 'userId', 'jti'])(
    '%s in a list is token_invalid, though it would be right alone',
    async (claim) => {
      expectInvalid(await me(withClaims({ [claim]: [alice.claims[claim]] })))
    },
  )
  it.each([
    [''],
    ['1'],
    ['not-a-uuid'],
    ['00000000-0000-4000-8000-00000000000'],
    ['00000000-0000-4000-8000-0000000000000'],
    ['{00000000-0000-4000-8000-000000000001}'],
    ["x' or '1'='1"],
    ['\0'],
  ])('jti %j, no UUID, is token_invalid', async (jti) => {
    expectInvalid(await me(withClaims({ jti })))
  })
  it('jti in braces or with white space around is no UUID', async () => {
    for (const jti of [
      `{${alice.jti}}`,
      ` ${alice.jti}`,
      `${alice.jti}\n`,
      `urn:uuid:${alice.jti}`,
      alice.jti.replaceAll('-', ''),
    ])
      expectInvalid(await me(withClaims({ jti })))
  })
})

describe('row 5: an unknown user', () => {
  it.each([
    'nobody',
    ' alice',
    '\u0430lice',
    'alice ',
    '',
    'alice\0',
    'ali%',
    'alice@example.com',
    users.alice,
    '\ud800',
  ])('sub %j is token_invalid', async (sub) => {
    expectInvalid(await me(withClaims({ sub })))
  })
  it.each(['Alice', 'ALICE', '\uff21lice'])(
    'sub %j is prepared and looked up as a login does it',
    async (sub) => {
      expect((await me(withClaims({ sub }))).status).toBe(200)
    },
  )
})

describe('rows 6 and 7: the user behind the name', () => {
  const expectDisabled = (answer: Response) => expectProblem(answer, 403, 'user_disabled', 'User is disabled')
  const expectMismatch = (answer: Response) =>
    expectProblem(answer, 401, 'user_mismatch', 'User context has changed. Please log in again.')

  it('a disabled user is account_disabled', async () => {
    expectDisabled(await me(await loginOf('dave')))
  })
  it('a disabled user with another’s userId is row 6, not row 7', async () => {
    expectDisabled(await me(await loginOf('dave', { userId: users.bob })))
  })
  it('a disabled user without a token row is row 6, not row 8', async () => {
    expectDisabled(await me(await loginOf('dave', { jti: randomUUID() })))
    expectDisabled(await me(await loginOf('dave', {}, { status: 'revoked' })))
  })
  it('a user is refused once disabled, and accepted once enabled again', async () => {
    const newcomer = await directoryOf(gateway.database).user()
    await me(newcomer.token).expect(200)
    await gateway.database.sql('update users set enabled = false where id = $1', [newcomer.id])
    expectDisabled(await me(newcomer.token))
    await gateway.database.sql('update users set enabled = true where id = $1', [newcomer.id])
    await me(newcomer.token).expect(200)
  })

  it.each([[users.bob], [randomUUID()], [''], ['not-a-uuid'], [`${users.alice} `]])(
    'userId %j, not the user’s, is user_mismatch',
    async (userId) => {
      expectMismatch(await me(withClaims({ userId })))
    },
  )
  it('a username that now belongs to another user is user_mismatch', async () => {
    const [before, after] = [await directoryOf(gateway.database).user(), randomUUID()]
    await gateway.database.sql('update users set username = $2 where id = $1', [
      before.id,
      `${before.username}-gone`,
    ])
    await gateway.database.sql('insert into users (id, username) values ($1, $2)', [after, before.username])
    expectMismatch(await me(before.token))
  })
  it('a mismatch without a token row is row 7, not row 8', async () => {
    expectMismatch(await me(withClaims({ userId: users.bob, jti: randomUUID() })))
    expectMismatch(await me(await loginOf('alice', { userId: users.bob }, { status: 'revoked' })))
    expectMismatch(await me(withClaims({ userId: users.bob, authenticationAuthority: 'nowhere' })))
  })
})

describe('row 8: the token’s row', () => {
  const past = () => new Date(Date.now() - 1000)
  const authorities = ['google', 'msft', 'oidc'] as const

  it.each<[string, Record<string, unknown>, () => RowShape]>([
    ['missing', { jti: randomUUID() }, () => ({})],
    ['revoked', {}, () => ({ status: 'revoked' })],
    ['expired, though the token is not', {}, () => ({ expiresAt: past() })],
    ['of another user', {}, () => ({ userId: users.bob })],
    ['of another authority', {}, () => ({ authority: 'google' })],
    ['of another authority than the claim', { authenticationAuthority: 'google' }, () => ({})],
    ['for reaching data', {}, () => ({ purpose: 'data_connection' })],
    ['of no session, where the token names one', {}, () => ({ sessionId: null })],
  ])('%s is token_invalid', async (_name, claims, row) => {
    expectInvalid(await me(await loginOf('alice', claims, row())))
  })

  it.each<[unknown]>([
    [undefined],
    [null],
    [''],
    [' local'],
    ['local '],
    ['github'],
    ['internal'],
    [1],
    [['local']],
    [{}],
  ])('authenticationAuthority %j is token_invalid', async (authenticationAuthority) => {
    expectInvalid(await me(await loginOf('alice', { authenticationAuthority })))
  })
  it.each(
    ['local', ...authorities].flatMap((authority) =>
      [authority, authority.toUpperCase(), `${authority.slice(0, 2).toUpperCase()}${authority.slice(2)}`].map(
        (claim) => [authority, claim],
      ),
    ),
  )('a login at %s is accepted with the claim %s', async (authority, authenticationAuthority) => {
    await expectAccepted(await loginOf('alice', { authenticationAuthority }, { authority }))
  })

  it('an api_token of the authority local is a login', async () => {
    await expectAccepted(await loginOf('alice', {}, { purpose: 'api_token' }))
    await expectAccepted(
      await loginOf(
        'alice',
        { authenticationAuthority: 'LOCAL', sid: undefined },
        { purpose: 'api_token', sessionId: null },
      ),
    )
  })
  it.each(authorities)('an api_token of the authority %s is no login', async (authority) => {
    expectInvalid(
      await me(
        await loginOf('alice', { authenticationAuthority: authority }, { purpose: 'api_token', authority }),
      ),
    )
  })
  it.each(['local', ...authorities])(
    'a data_connection of the authority %s is no login',
    async (authority) => {
      expectInvalid(
        await me(
          await loginOf(
            'alice',
            { authenticationAuthority: authority },
            { purpose: 'data_connection', authority },
          ),
        ),
      )
    },
  )

  const sessionOf = async (shape: (sid: string) => Record<string, unknown>, row: RowShape = {}) => {
    const login = await tokenFor(gateway.database, 'alice', { row })
    const parts = partsOf(login.token)
    return signByHand(parts.header, { ...without(parts.claims, 'sid'), ...shape(login.sid) })
  }
  it.each<[string, (sid: string) => Record<string, unknown>]>([
    ['sid', (sid) => ({ sid })],
    ['sessionId in place of sid', (sessionId) => ({ sessionId })],
    ['sid, whatever sessionId says', (sid) => ({ sid, sessionId: randomUUID() })],
    ['sessionId where sid is null', (sessionId) => ({ sid: null, sessionId })],
    ['sessionId where sid is empty', (sessionId) => ({ sid: '', sessionId })],
  ])('a row with a session matches a token with its %s', async (_name, claims) => {
    await expectAccepted(await sessionOf(claims))
  })
  it.each<[string, (sid: string) => Record<string, unknown>]>([
    ['neither sid nor sessionId', () => ({})],
    ['another sid', () => ({ sid: randomUUID() })],
    ['another sid, whatever sessionId says', (sessionId) => ({ sid: randomUUID(), sessionId })],
    ['another sessionId', () => ({ sessionId: randomUUID() })],
    ['an empty sid', () => ({ sid: '' })],
    ['a sid that is no string', (sid) => ({ sid: [sid] })],
    ['a sid of null', () => ({ sid: null })],
  ])('a row with a session does not match a token with %s', async (_name, claims) => {
    expectInvalid(await me(await sessionOf(claims)))
  })
  it.each<[string, Record<string, unknown>]>([
    ['without either', {}],
    ['whose sid is null', { sid: null }],
    ['whose sid is empty', { sid: '' }],
    ['whose sid and sessionId are null', { sid: null, sessionId: null }],
    ['whose sid and sessionId are empty', { sid: '', sessionId: '' }],
  ])('a row without session matches a token %s', async (_name, claims) => {
    await expectAccepted(await sessionOf(() => claims, { sessionId: null }))
  })
  it.each<[string, (sid: string) => Record<string, unknown>]>([
    ['a sid', (sid) => ({ sid })],
    ['a sessionId', (sessionId) => ({ sessionId })],
    ['a sessionId beside a sid of null', (sessionId) => ({ sid: null, sessionId })],
    ['a sid that is no string', (sid) => ({ sid: [sid] })],
  ])('a row without session does not match a token with %s', async (_name, claims) => {
    expectInvalid(await me(await sessionOf(claims, { sessionId: null })))
  })

  it('an ended session ends its tokens', async () => {
    const login = await tokenFor(gateway.database, 'alice')
    await me(login.token).expect(200)
    await gateway.database.sql('update sessions set ended_at = now() where id = $1', [login.sid])
    expectInvalid(await me(login.token))
  })
  it('a token that was revoked with plain SQL, or deleted, is refused', async () => {
    const [revoked, deleted] = [
      await tokenFor(gateway.database, 'alice'),
      await tokenFor(gateway.database, 'alice'),
    ]
    await Promise.all([me(revoked.token).expect(200), me(deleted.token).expect(200)])
    await gateway.database.sql(`update tokens set status = 'revoked' where id = $1`, [revoked.jti])
    await gateway.database.sql('delete from tokens where id = $1', [deleted.jti])
    expectInvalid(await me(revoked.token))
    expectInvalid(await me(deleted.token))
  })
})

describe('what is accepted', () => {
  it.each<[string, () => string]>([
    ['as the gateway issues it', () => alice.token],
    [
      'of an older system: without iss, typ and kid, by the same secret',
      () => signByHand({ alg: 'HS256' }, without(alice.claims, 'iss')),
    ],
    ['with typ JWT', () => withHeader({ typ: 'JWT' })],
    ['with typ jwt', () => withHeader({ typ: 'jwt' })],
    ['with typ AT+JWT', () => withHeader({ typ: 'AT+JWT' })],
    ['without typ', () => signByHand(without(alice.header, 'typ'), alice.claims)],
    ['with a kid that nobody knows', () => withHeader({ kid: 'unknown' })],
    ['with a kid that is no string', () => withHeader({ kid: 7 })],
    [
      'with a kid that nobody knows, by the previous secret',
      () => signByHand({ ...alice.header, kid: 'unknown' }, alice.claims, { secret: previousSecret }),
    ],
    [
      'by the previous secret, as its UTF-8 bytes are',
      () => signByHand(alice.header, alice.claims, { secret: previousSecret }),
    ],
    ['with an aud', () => withClaims({ aud: 'somebody-else' })],
    ['with an aud that makes no sense', () => withClaims({ aud: 5 })],
    ['without iat', () => signByHand(alice.header, without(alice.claims, 'iat'))],
    [
      'that expires exactly 400 days after iat',
      () => withClaims({ iat: now() - 100, exp: now() - 100 + 400 * day }),
    ],
    [
      'with fractions of seconds',
      () => withClaims({ iat: now() - 0.5, exp: now() + 900.25, nbf: now() - 0.25 }),
    ],
    ['with an nbf of 0', () => withClaims({ nbf: 0 })],
    ['with other header fields', () => withHeader({ cty: 'x', x5t: 'y', jku: 'https://evil.example/keys' })],
    ['whose JSON has white space', () => signByHand(alice.header, JSON.stringify(alice.claims, null, 2))],
  ])('a token %s', async (_name, forge) => {
    await expectAccepted(forge())
  })

  it('claims about roles, flags and mandates change nothing', async () => {
    const boastful = withClaims({
      isSysAdmin: true,
      is_sys_admin: true,
      isPlatformAdmin: true,
      roles: ['admin'],
      roleIds: [users.root],
      mandateId: mandates.acme,
      enabled: true,
      scope: '*',
    })
    const context = await request(gateway.server)
      .get('/auth/context')
      .set('Authorization', `Bearer ${boastful}`)
      .expect(200)
    expect(context.body).toMatchObject({
      isSysAdmin: false,
      isPlatformAdmin: false,
      mandateId: null,
      roleIds: [],
      rules: [],
      user: { id: users.alice, isSysAdmin: false, isPlatformAdmin: false },
    })
    expectProblem(
      await request(gateway.server).get('/system/nodes').set('Authorization', `Bearer ${boastful}`),
      403,
      'sysadmin_required',
    )
    expectProblem(
      await request(gateway.server).get('/admin/users').set('Authorization', `Bearer ${boastful}`),
      403,
      'platform_admin_required',
    )
  })

  it('one token works in every mandate of its user', async () => {
    for (const mandate of [mandates.acme, mandates.globex]) {
      const answer = await request(gateway.server)
        .get('/auth/context')
        .set({ Authorization: `Bearer ${alice.token}`, 'X-Mandate-Id': mandate })
        .expect(200)
      expect(answer.body.mandateId).toBe(mandate)
    }
  })

  it('a token that a login issues has all required claims, and is accepted', async () => {
    const login = await request(gateway.server)
      .post('/auth/login')
      .send({ username: 'alice', password: 'demo-password-1' })
      .expect(200)
    const token = /auth_token=([^;]+)/.exec(String(login.headers['set-cookie']))?.[1]
    const { header, claims } = partsOf(String(token))
    expect(header).toEqual({ alg: 'HS256', typ: 'at+jwt', kid: expect.any(String) })
    expect(claims).toEqual({
      sub: 'alice',
      userId: users.alice,
      authenticationAuthority: 'local',
      jti: expect.any(String),
      sid: expect.any(String),
      iat: expect.any(Number),
      exp: expect.any(Number),
      iss: 'mandate-gateway',
    })
    await expectAccepted(String(token))
    expect(token).toBe(signByHand(header, claims))
  })
})

describe('a database that cannot answer', () => {
  const sentence = 'Authentication service temporarily unavailable. Please contact administrator.'

  it.each(['tokens', 'users', 'sessions'])(
    '%s missing is 503, and 200 again without a restart',
    async (table) => {
      const { token } = await tokenFor(gateway.database, 'alice')
      await withoutTable(gateway.database, table, async () => {
        const answer = await me(token)
        expectProblem(answer, 503, 'authentication_unavailable', sentence)
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
        expect(answer.headers['www-authenticate']).toBeUndefined()
        const routed = await request(gateway.server)
          .get('/api/crm/contacts')
          .set({ Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme })
        expectProblem(routed, 503, 'authentication_unavailable', sentence)
      })
      await me(token).expect(200)
    },
  )

  it('rows that need no database still respond', async () => {
    await withoutTable(gateway.database, 'tokens', async () => {
      expectProblem(await request(gateway.server).get('/auth/me'), 401, 'authentication_required')
      expectInvalid(await me('x.y.z'))
      expectProblem(await me(withClaims({ exp: now() - 1 })), 401, 'token_expired')
      expectInvalid(await me(withoutClaim('jti')))
    })
  })

  it('is reported without any detail of the failure', async () => {
    await withoutTable(gateway.database, 'tokens', async () => {
      expect((await me(alice.token)).text).not.toMatch(/relation|tokens|select|postgres/i)
    })
  })

  it('a database that refuses connections is 503 too', async () => {
    const nowhere = { ...gateway.database, url: 'postgres://nobody:nothing@127.0.0.1:9/nothing' }
    const cut = await startTestGateway({ database: nowhere, environment: { COHERENCE_LEASE_MS: '0' } })
    try {
      const answer = await request(cut.server).get('/auth/me').set('Authorization', `Bearer ${alice.token}`)
      expectProblem(answer, 503, 'authentication_unavailable', sentence)
      expect(answer.headers['retry-after']).toBeDefined()
    } finally {
      await cut.stop()
    }
  })
})

describe('a login that is remembered', () => {
  let remembering: TestGateway
  beforeAll(async () => {
    remembering = await startTestGateway({
      database: gateway.database,
      environment: { COHERENCE_LEASE_MS: '5000' },
    })
    // until it really is: what is remembered needs no table
    await until(async () => {
      await context(alice.token).expect(200)
      const answer = await withoutTable(gateway.database, 'tokens', () => context(alice.token))
      return answer.status === 200 ? answer : undefined
    })
  })
  afterAll(async () => {
    await remembering.stop()
  })

  const context = (token: string) =>
    request(remembering.server).get('/auth/context').set('Authorization', `Bearer ${token}`)
  /** The first answer that is no 200; until then the login is used again and again. */
  const refusalOf = (token: string) =>
    until(async () => {
      const answer = await context(token)
      return answer.status === 200 ? undefined : answer
    })

  it('expires when its token does', async () => {
    const { token } = await tokenFor(gateway.database, 'alice', { claims: { exp: now() + 2 } })
    await context(token).expect(200)
    expectProblem(await refusalOf(token), 401, 'token_expired', 'Token has expired')
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(Number(partsOf(token).claims.exp))
  })
  it('expires when its row does, though its token does not', async () => {
    const expiresAt = new Date(Date.now() + 1500)
    const { token } = await tokenFor(gateway.database, 'alice', { row: { expiresAt } })
    await context(token).expect(200)
    expectInvalid(await refusalOf(token))
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt.getTime())
  })
  it.each<[string, string, string, number, string]>([
    ['a disabled user', 'users', 'enabled = false where id =', 403, 'user_disabled'],
    ['a revoked token', 'tokens', `status = 'revoked' where user_id =`, 401, 'token_invalid'],
    ['an ended session', 'sessions', 'ended_at = now() where user_id =', 401, 'token_invalid'],
    [
      'a user of another name',
      'users',
      `username = gen_random_uuid()::text where id =`,
      401,
      'token_invalid',
    ],
  ])('is forgotten when plain SQL changes it: %s', async (_name, table, change, status, code) => {
    const newcomer = await directoryOf(gateway.database).user()
    await context(newcomer.token).expect(200)
    await gateway.database.sql(`update ${table} set ${change} $1`, [newcomer.id])
    expectProblem(await refusalOf(newcomer.token), status, code)
  })
  it('needs no database, whereas one that is not remembered does', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    await context(alice.token).expect(200)
    await withoutTable(gateway.database, 'users', async () => {
      await context(alice.token).expect(200)
      expectProblem(await context(token), 503, 'authentication_unavailable')
    })
    await context(token).expect(200)
  })
  it('does not accept the same claims under another signature', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    await context(token).expect(200)
    const { header, claims } = partsOf(token)
    expectInvalid(await context(signByHand(header, claims, { secret: otherSecret })))
    expectInvalid(await context(`${token}=`))
  })
})
