import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeJwt } from 'jose'
import request from 'supertest'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

const password = 'demo-password-1'

describe('POST /auth/token', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const ask = (fields: Record<string, string>) =>
    request(gateway.url).post('/auth/token').type('form').send(fields)
  const good = { grant_type: 'password', username: 'alice', password }

  it.each(['form', 'json'])(
    'gives an access token for a password, asked by %s (RFC 6749 §5.1)',
    async (type) => {
      const { status, body, headers } = await request(gateway.url).post('/auth/token').type(type).send(good)
      expect(status).toBe(200)
      expect(body).toMatchObject({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: expect.any(Number),
      })
      expect(body.expires_in).toBeGreaterThan(890)
      expect(body.expires_in).toBeLessThanOrEqual(900)
      expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
      expect(headers['content-type']).toMatch(/^application\/json/)
      expect(headers).not.toHaveProperty('set-cookie')
      const me = await request(gateway.url)
        .get('/auth/me')
        .set('Authorization', `Bearer ${String(body.access_token)}`)
        .expect(200)
      expect(me.body.user.username).toBe('alice')
    },
  )

  it.each([
    ['no grant type', { username: 'alice', password }, 'invalid_request'],
    ['an empty grant type', { ...good, grant_type: '' }, 'invalid_request'],
    ['an unknown grant type', { ...good, grant_type: 'implicit' }, 'unsupported_grant_type'],
    ['no username', { grant_type: 'password', password }, 'invalid_request'],
    ['no password', { grant_type: 'password', username: 'alice' }, 'invalid_request'],
    ['an empty password', { ...good, password: '' }, 'invalid_request'],
    ['a wrong password', { ...good, password: 'wrong' }, 'invalid_grant'],
    ['an unknown user', { ...good, username: 'nobody' }, 'invalid_grant'],
    ['a disabled user', { ...good, username: 'dave' }, 'invalid_grant'],
    ['a password over 1 KiB', { ...good, password: 'x'.repeat(1025) }, 'invalid_grant'],
  ])('answers %s as RFC 6749 §5.2 has it', async (_, fields, error) => {
    const { status, body, headers } = await ask(fields)
    expect([status, body.error]).toEqual([400, error])
    expect(Object.keys(body as object).sort()).toEqual(['error', 'error_description'])
    // the characters that the RFC allows
    expect(body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
    expect(headers['content-type']).toMatch(/^application\/json/)
    expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
    expect(headers).not.toHaveProperty('set-cookie')
    expect(headers).toHaveProperty('x-request-id')
  })

  it('ignores parameters that it does not know', async () => {
    await ask({ ...good, scope: 'everything', audience: 'x' }).expect(200)
  })

  it('answers a parameter that came twice invalid_request', async () => {
    for (const body of [
      'grant_type=password&username=alice&username=alice&password=x',
      `grant_type=password&grant_type=password&username=alice&password=${password}`,
      `grant_type=password&username=alice&password=${password}&scope=a&scope=b`,
    ]) {
      const answer = await request(gateway.url).post('/auth/token').type('form').send(body)
      expect([body, answer.status, answer.body.error]).toEqual([body, 400, 'invalid_request'])
    }
  })

  it('responds to an unreadable body in the same form', async () => {
    for (const [type, body, status] of [
      ['text/plain', 'x', 415],
      ['application/json', '{', 400],
      ['application/json', '[]', 400],
      ['application/json', '{"grant_type":5}', 400],
      ['application/json', '', 400],
    ] as const) {
      const answer = await request(gateway.url).post('/auth/token').set('Content-Type', type).send(body)
      expect([type, body, answer.status, answer.body]).toEqual([
        type,
        body,
        status,
        { error: 'invalid_request', error_description: expect.any(String) },
      ])
      expect(answer.headers['cache-control']).toBe('no-store')
    }
  })

  it('does not read the query for credentials', async () => {
    const { status } = await request(gateway.url)
      .post('/auth/token?grant_type=password&username=alice&password=demo-password-1')
      .type('form')
      .send({ x: '1' })
    expect(status).toBe(400)
  })

  it('answers 503 while the directory is away, in a form that OAuth clients read', async () => {
    await gateway.database.sql('alter table users rename to users_away')
    try {
      const { status, body, headers } = await ask(good)
      expect([status, body]).toEqual([
        503,
        { error: 'temporarily_unavailable', error_description: expect.any(String) },
      ])
      expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    } finally {
      await gateway.database.sql('alter table users_away rename to users')
    }
  })

  describe('with grant_type refresh_token (RFC 6749 §6)', () => {
    const given = async () =>
      (await ask(good).expect(200)).body as { access_token: string; refresh_token: string }
    const refresh = (token: string) => ask({ grant_type: 'refresh_token', refresh_token: token })

    it.each(['form', 'json'])(
      'gives the next refresh token and an access token of the same session, asked by %s',
      async (type) => {
        const first = await given()
        expect(first.refresh_token).toMatch(/^[\w-]{43}$/)
        const { status, body, headers } = await request(gateway.url)
          .post('/auth/token')
          .type(type)
          .send({ grant_type: 'refresh_token', refresh_token: first.refresh_token, scope: 'ignored' })
        expect([status, Object.keys(body as object).sort()]).toEqual([
          200,
          ['access_token', 'expires_in', 'refresh_token', 'token_type'],
        ])
        expect(body.expires_in).toBeGreaterThan(890)
        expect(body.refresh_token).not.toBe(first.refresh_token)
        expect(decodeJwt(String(body.access_token)).sid).toBe(decodeJwt(first.access_token).sid)
        expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
        expect(headers).not.toHaveProperty('set-cookie')
        await request(gateway.url)
          .get('/auth/me')
          .set('Authorization', `Bearer ${String(body.access_token)}`)
          .expect(200)
      },
    )

    it('gives a lost answer again within 10 s, and takes later use for theft', async () => {
      const first = await given()
      const [next, again] = [
        await refresh(first.refresh_token).expect(200),
        await refresh(first.refresh_token).expect(200),
      ]
      expect(again.body.refresh_token).toBe(next.body.refresh_token)
      await refresh(String(next.body.refresh_token)).expect(200)
      const { status, body } = await refresh(first.refresh_token)
      expect([status, body.error]).toEqual([400, 'invalid_grant'])
      await request(gateway.url)
        .get('/auth/me')
        .set('Authorization', `Bearer ${first.access_token}`)
        .expect(401)
    })

    it.each([
      ['no refresh token', {}, 'invalid_request'],
      ['an empty one', { refresh_token: '' }, 'invalid_request'],
      ['rubbish', { refresh_token: 'rubbish' }, 'invalid_grant'],
      ['an unknown one', { refresh_token: 'A'.repeat(43) }, 'invalid_grant'],
    ])('answers %s as RFC 6749 §5.2 has it', async (_, fields, error) => {
      const { status, body, headers } = await ask({ grant_type: 'refresh_token', ...fields })
      expect([status, body]).toEqual([400, { error, error_description: expect.any(String) }])
      expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
      expect(headers).not.toHaveProperty('www-authenticate')
    })

    it('responds invalid_grant to access tokens, expired refresh tokens, ended sessions, disabled users', async () => {
      const [expired, ended, disabled] = [await given(), await given(), await given()]
      const change = (statement: string, { access_token: token }: { access_token: string }) =>
        gateway.database.sql(statement, [decodeJwt(token).sid])
      await change(`update refresh_tokens set expires_at = now() where session_id = $1`, expired)
      await change(`update sessions set ended_at = now() where id = $1`, ended)
      await gateway.database.sql(`update users set enabled = false where username = 'alice'`)
      const answers = [await refresh(disabled.refresh_token)]
      await gateway.database.sql(`update users set enabled = true where username = 'alice'`)
      for (const token of [expired.refresh_token, ended.refresh_token, expired.access_token])
        answers.push(await refresh(token))
      for (const { status, body } of answers) expect([status, body.error]).toEqual([400, 'invalid_grant'])
    })
  })
})
