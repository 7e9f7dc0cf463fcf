import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { openBrowser } from '../support/browser.js'
import { signToken, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { bearer } from '../support/http-client.js'

let gateway: TestGateway
let root: Record<string, string>
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } })
  root = bearer((await tokenFor(gateway.database, 'root')).token)
})
afterAll(async () => {
  await gateway.stop()
})

const introspect = (token: string, headers: Record<string, string> = root, more: object = {}) =>
  request(gateway.url)
    .post('/auth/introspect')
    .type('form')
    .set(headers)
    .send({ token, ...more })

describe('introspection (RFC 7662)', () => {
  it('shows the claims of an access token, and when it expires', async () => {
    const { token, jti, sid } = await tokenFor(gateway.database, 'alice')
    const { status, body, headers } = await introspect(token)
    expect([status, body]).toEqual([
      200,
      {
        active: true,
        token_type: 'Bearer',
        sub: 'alice',
        username: 'alice',
        exp: expect.any(Number),
        iat: expect.any(Number),
        iss: 'mandate-gateway',
        jti,
        sid,
        acr: '1fa',
        auth_time: expect.any(Number),
      },
    ])
    expect(headers['cache-control']).toBe('no-store')
    expect(body.exp - Date.now() / 1000).toBeLessThanOrEqual(900)
  })

  it('shows a refresh token, as long as it has not been used', async () => {
    const browser = openBrowser(gateway.url)
    await browser.logIn('bob')
    const token = browser.cookie('refresh_token')!.value
    expect((await introspect(token)).body).toMatchObject({
      active: true,
      token_type: 'refresh_token',
      sub: 'bob',
      sid: expect.any(String),
    })
    await browser.send('POST', '/auth/refresh')
    expect((await introspect(token)).body).toEqual({ active: false })
    const next = browser.cookie('refresh_token')!.value
    expect((await introspect(next)).body.active).toBe(true)
    await browser.send('POST', '/auth/logout')
    expect((await introspect(next)).body).toEqual({ active: false })
  })

  it('names the client of a program’s token', async () => {
    const { body } = await request(gateway.url)
      .post('/auth/token')
      .type('form')
      .send({ grant_type: 'client_credentials', client_id: 'reports', client_secret: 'demo-password-1' })
    const told = (await introspect(String(body.access_token))).body
    expect(told).toMatchObject({ active: true, sub: 'reports', client_id: 'reports' })
    expect(told).not.toHaveProperty('sid')
  })

  it('shows nothing of an inactive token, whatever is wrong with it', async () => {
    const revoked = await tokenFor(gateway.database, 'alice')
    expect((await introspect(revoked.token)).body.active).toBe(true)
    await request(gateway.url).delete(`/system/tokens/${revoked.jti}`).set(root).expect(200)
    const now = Math.floor(Date.now() / 1000)
    const identity = await signToken('alice', randomUUID(), undefined, {
      header: { typ: 'gateway-identity+jwt' },
    })
    for (const token of [
      revoked.token,
      'x',
      'a.b.c',
      'A'.repeat(43),
      identity,
      await signToken('alice', randomUUID(), randomUUID()),
      (await tokenFor(gateway.database, 'dave')).token,
      (await tokenFor(gateway.database, 'alice', { claims: { exp: now - 1 } })).token,
      (await tokenFor(gateway.database, 'alice', { secret: 'another-secret-0123456789-abcdefghijklmnop' }))
        .token,
      (await tokenFor(gateway.database, 'alice', { row: { purpose: 'data_connection' } })).token,
      (await tokenFor(gateway.database, 'alice', { row: { userId: users.bob } })).token,
      'eyJ0aWQiOiJ4In0.0000000000000000000000000000000000000000000000000000000000000000',
    ]) {
      const { status, body } = await introspect(token)
      expect([token, status, body]).toEqual([token, 200, { active: false }])
    }
  })

  it('is for service accounts, by token or credentials, and for SysAdmins', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const reports = { client_id: 'reports', client_secret: 'demo-password-1' }
    expect((await introspect(token, {}, reports)).body.active).toBe(true)
    expect(
      (
        await introspect(token, {
          Authorization: `Basic ${Buffer.from('reports:demo-password-1').toString('base64')}`,
        })
      ).body.active,
    ).toBe(true)
    expect(
      (await introspect(token, bearer((await tokenFor(gateway.database, 'reports')).token))).body.active,
    ).toBe(true)
    for (const user of ['alice', 'petra'] as const) {
      const { status, body } = await introspect(token, bearer((await tokenFor(gateway.database, user)).token))
      expect([status, body]).toEqual([
        403,
        { error: 'unauthorized_client', error_description: expect.any(String) },
      ])
    }
    for (const [headers, more] of [
      [{}, {}],
      [{}, { ...reports, client_secret: 'wrong' }],
      [{}, { client_id: 'alice', client_secret: 'demo-password-1' }],
      [bearer('x.y.z'), {}],
    ] as const) {
      const { status, body } = await introspect(token, headers, more)
      expect([status, body]).toEqual([
        401,
        { error: 'invalid_client', error_description: expect.any(String) },
      ])
    }
  })

  it('answers bad requests as RFC 6749 §5.2 has them, and 503 while the directory is away', async () => {
    expect(
      (await request(gateway.url).post('/auth/introspect').type('form').set(root).send({})).body.error,
    ).toBe('invalid_request')
    expect(
      (await request(gateway.url).post('/auth/introspect').type('form').set(root).send('token=a&token=b'))
        .body.error,
    ).toBe('invalid_request')
    const { token } = await tokenFor(gateway.database, 'alice')
    await gateway.database.sql('alter table tokens rename to tokens_away')
    try {
      const { status, body } = await introspect(token)
      expect([status, body.error]).toEqual([503, 'temporarily_unavailable'])
    } finally {
      await gateway.database.sql('alter table tokens_away rename to tokens')
    }
  })
})
