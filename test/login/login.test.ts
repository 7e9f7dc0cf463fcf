import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import request from 'supertest'
import { aliceAsShown, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

const password = 'demo-password-1'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A cookie that an answer sets, by lower-case attribute. */
function cookieOf(headers: Record<string, string>, name: string): Record<string, string> | undefined {
  const all = headers['set-cookie'] as unknown as string[] | undefined
  const found = all?.find((line) => line.startsWith(`${name}=`))
  return found === undefined
    ? undefined
    : Object.fromEntries(
        found.split(';').map((part, index) => {
          const [key = '', ...value] = part.trim().split('=')
          return [index === 0 ? 'value' : key.toLowerCase(), value.join('=')]
        }),
      )
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!

describe('POST /auth/login', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const logIn = (body: object) => request(gateway.url).post('/auth/login').send(body)

  it('answers the user and until when, and nothing of the token or the password', async () => {
    const before = Date.now()
    const { body, status } = await logIn({ username: 'alice', password })
    expect(status).toBe(200)
    expect(Object.keys(body as object).sort()).toEqual(['expiresAt', 'user'])
    expect(body.user).toEqual(aliceAsShown)
    expect(body.expiresAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
    const lifetime = Date.parse(String(body.expiresAt)) - before
    expect(lifetime).toBeGreaterThan(14 * 60_000)
    expect(lifetime).toBeLessThan(16 * 60_000)
    expect(JSON.stringify(body)).not.toMatch(/eyJ|argon2|hash/i)
  })

  it('sets auth_token: HttpOnly, SameSite=Lax, Path=/, for as long as the session, and without a domain', async () => {
    const { headers } = await logIn({ username: 'alice', password })
    const cookie = cookieOf(headers, 'auth_token')
    expect(cookie).toMatchObject({
      httponly: '',
      path: '/',
      samesite: 'Lax',
      'max-age': String(7 * 24 * 60 * 60),
    })
    expect(cookie).not.toHaveProperty('domain')
    expect(cookie).not.toHaveProperty('secure') // plain http in development
    await request(gateway.url).get('/auth/me').set('Cookie', `auth_token=${cookie!.value!}`).expect(200)
  })

  it('says when the cookie ends in both ways that browsers read, and they agree', async () => {
    const { headers } = await logIn({ username: 'alice', password })
    const cookie = cookieOf(headers, 'auth_token')
    const endsIn = (Date.parse(cookie!.expires!) - Date.now()) / 1000
    expect(Math.abs(endsIn - Number(cookie!['max-age']))).toBeLessThan(30)
    const out = await request(gateway.url)
      .post('/auth/logout')
      .set('Cookie', `auth_token=${cookie!.value!}`)
      .expect(204)
    expect(cookieOf(out.headers, 'auth_token')).toMatchObject({
      'max-age': '0',
      expires: 'Thu, 01 Jan 1970 00:00:00 GMT',
    })
  })

  it('keeps its answer out of every cache', async () => {
    expect((await logIn({ username: 'alice', password })).headers['cache-control']).toBe('no-store')
  })

  it('issues exactly the claims of the contract, typed at+jwt, and the rows that make them count', async () => {
    const { headers } = await logIn({ username: 'bob', password }).set('User-Agent', 'test-agent/1')
    const token = cookieOf(headers, 'auth_token')!.value!
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'at+jwt', kid: expect.any(String) })
    const claims = decodeJwt(token)
    expect(Object.keys(claims).sort()).toEqual([
      'authenticationAuthority',
      'exp',
      'iat',
      'iss',
      'jti',
      'sid',
      'sub',
      'userId',
    ])
    expect(claims).toMatchObject({
      sub: 'bob',
      userId: users.bob,
      authenticationAuthority: 'local',
      iss: 'mandate-gateway',
      jti: expect.stringMatching(uuid),
      sid: expect.stringMatching(uuid),
    })
    expect(claims.exp! - claims.iat!).toBe(15 * 60)
    const [row] = await gateway.database.sql(
      `select user_id, authority, purpose, session_id, status, revoked_at,
          extract(epoch from expires_at)::int as exp
        from tokens
        where id = $1`,
      [claims.jti],
    )
    expect(row).toEqual({
      user_id: users.bob,
      authority: 'local',
      purpose: 'auth_session',
      session_id: claims.sid,
      status: 'active',
      revoked_at: null,
      exp: claims.exp,
    })
    const [session] = await gateway.database.sql(
      'select user_id, authority, ended_at, address, user_agent from sessions where id = $1',
      [claims.sid],
    )
    expect(session).toEqual({
      user_id: users.bob,
      authority: 'local',
      ended_at: null,
      address: '127.0.0.1',
      user_agent: 'test-agent/1',
    })
  })

  it('begins a session of its own each time', async () => {
    const ids = await Promise.all(
      [1, 2, 3].map(async () =>
        decodeJwt(cookieOf((await logIn({ username: 'alice', password })).headers, 'auth_token')!.value!),
      ),
    )
    expect(new Set(ids.flatMap(({ jti, sid }) => [jti, sid])).size).toBe(6)
  })

  it('takes no notice of a token that the browser still has', async () => {
    await request(gateway.url)
      .post('/auth/login')
      .set('Cookie', 'auth_token=rubbish')
      .send({ username: 'alice', password })
      .expect(200)
    await request(gateway.url)
      .post('/auth/login')
      .set('Authorization', 'Bearer rubbish')
      .send({ username: 'alice', password })
      .expect(200)
  })

  it('answers an unknown user, a wrong password, a disabled user, and one without password alike', async () => {
    await gateway.database.sql('update users set password_hash = null where id = $1', [users.erin])
    await gateway.database.sql(`update users set password_hash = 'rubbish' where id = $1`, [users.frank])
    const attempts = [
      { username: 'nobody', password },
      { username: 'alice', password: 'wrong' },
      { username: 'dave', password },
      { username: 'dave', password: 'wrong' },
      { username: 'erin', password },
      { username: 'frank', password },
      { username: 'alice', password: `${password} ` },
      { username: 'alice', password: password.toUpperCase() },
    ]
    const answers = []
    for (const attempt of attempts) {
      const { status, headers, body } = await logIn(attempt).set('X-Request-Id', 'same')
      answers.push({
        status,
        body,
        challenge: headers['www-authenticate'],
        cookies: headers['set-cookie'],
        cache: headers['cache-control'],
        names: Object.keys(headers).sort(),
      })
    }
    expect(answers[0]).toMatchObject({
      status: 401,
      body: { code: 'credentials_invalid' },
      challenge: expect.stringMatching(/^Bearer/),
      cookies: undefined,
      cache: 'no-store',
    })
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  it('takes about as long for an unknown and a disabled user as for a wrong password', async () => {
    const kinds = {
      wrong: { username: 'alice', password: 'wrong' },
      unknown: { username: 'nobody', password: 'wrong' },
      disabled: { username: 'dave', password: 'wrong' },
      passwordless: { username: 'erin', password: 'wrong' },
    }
    await gateway.database.sql('update users set password_hash = null where id = $1', [users.erin])
    const times: Record<string, number[]> = {}
    for (let round = 0; round < 9; round += 1) {
      // in turn, so that the machine’s moods hit all alike
      for (const [kind, body] of Object.entries(kinds)) {
        const start = performance.now()
        await logIn(body).expect(401)
        ;(times[kind] ??= []).push(performance.now() - start)
      }
    }
    const usual = median(times.wrong!)
    for (const kind of ['unknown', 'disabled', 'passwordless']) {
      const ratio = median(times[kind]!) / usual
      expect([kind, ratio > 0.5 && ratio < 2 ? 'alike' : ratio]).toEqual([kind, 'alike'])
    }
  })

  it('refuses a password over 1 KiB without hashing it, and as it refuses a wrong one', async () => {
    const within = 'x'.repeat(1024)
    const beyond = 'x'.repeat(1025)
    const measure = async (one: string) => {
      const times = []
      for (let round = 0; round < 7; round += 1) {
        const start = performance.now()
        const { status, body } = await logIn({ username: 'alice', password: one })
        expect([status, body.code]).toEqual([401, 'credentials_invalid'])
        times.push(performance.now() - start)
      }
      return median(times)
    }
    const [hashed, refused] = [await measure(within), await measure(beyond)]
    expect(refused).toBeLessThan(hashed)
    expect(await measure('é'.repeat(513))).toBeLessThan(hashed) // bytes, not letters
  })

  it('lets a service account with a password in', async () => {
    const { status, body } = await logIn({ username: 'reports', password })
    expect([status, body.user?.username]).toEqual([200, 'reports'])
  })

  it('a user who may do nothing may still log in', async () => {
    await logIn({ username: 'carol', password }).expect(200)
  })

  it('a user who is enabled again may log in at once, one who is disabled no more', async () => {
    await gateway.database.sql('update users set enabled = true where id = $1', [users.dave])
    await logIn({ username: 'dave', password }).expect(200)
    await gateway.database.sql('update users set enabled = false where id = $1', [users.dave])
    await logIn({ username: 'dave', password }).expect(401)
  })

  it('responds 503 directory_unavailable, never 401, without the users table, and recovers by itself', async () => {
    await gateway.database.sql('alter table users rename to users_away')
    try {
      const { status, body, headers } = await logIn({ username: 'alice', password })
      expect([status, body.code]).toEqual([503, 'directory_unavailable'])
      expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      expect(headers).not.toHaveProperty('set-cookie')
    } finally {
      await gateway.database.sql('alter table users_away rename to users')
    }
    await logIn({ username: 'alice', password }).expect(200)
  })

  it('sets no cookie where the token’s row could not be written', async () => {
    await gateway.database.sql('alter table tokens rename to tokens_away')
    const sessions = await gateway.database.sql('select count(*) from sessions')
    try {
      const { status, body, headers } = await logIn({ username: 'alice', password })
      expect([status, body.code]).toEqual([503, 'directory_unavailable'])
      expect(headers).not.toHaveProperty('set-cookie')
    } finally {
      await gateway.database.sql('alter table tokens_away rename to tokens')
    }
    expect(await gateway.database.sql('select count(*) from sessions')).toEqual(sessions) // both or none
  })
})

describe('login cookies', () => {
  it.each([
    [{ NODE_ENV: 'production' }, { secure: '', samesite: 'Lax' }],
    [
      { COOKIE_SECURE: 'true', COOKIE_SAMESITE: 'strict' },
      { secure: '', samesite: 'Strict' },
    ],
    [{ COOKIE_SAMESITE: 'none' }, { secure: '', samesite: 'None' }],
    [{ APP_REFRESH_TOKEN_EXPIRY: '30' }, { 'max-age': String(30 * 24 * 60 * 60) }],
  ])('follow the configuration %j', async (environment, expected) => {
    const gateway = await startTestGateway({ environment })
    try {
      const { headers } = await request(gateway.url)
        .post('/auth/login')
        .send({ username: 'alice', password })
        .expect(200)
      expect(cookieOf(headers, 'auth_token')).toMatchObject({ httponly: '', path: '/', ...expected })
      const out = await request(gateway.url).post('/auth/logout').expect(204)
      for (const name of ['auth_token', 'refresh_token'])
        expect(cookieOf(out.headers, name)).toMatchObject({
          value: '',
          ...('secure' in expected ? { secure: '' } : {}),
        })
    } finally {
      await gateway.stop()
    }
  })
})
