import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { signToken, tokenFor, users } from '../support/demo.js'
import { demoRoutes, startTestGateway } from '../support/gateway.js'
import { startTwoNodes, type TwoNodes } from '../support/two-nodes.js'

interface Given {
  access_token: string
  refresh_token: string
}

describe('POST /auth/revoke (RFC 7009)', () => {
  let nodes: TwoNodes
  beforeAll(async () => {
    nodes = await startTwoNodes(demoRoutes)
  })
  afterAll(async () => {
    await nodes.stop()
  })

  const post = async (path: string, body: string, type = 'application/x-www-form-urlencoded') => {
    const answer = await sendRequest(nodes.here.url, path, {
      method: 'POST',
      headers: { 'Content-Type': type },
      body,
    })
    return { ...answer, body: JSON.parse(answer.text) as Record<string, unknown> }
  }
  const revoke = (fields: Record<string, string>) =>
    post('/auth/revoke', new URLSearchParams(fields).toString())
  const given = async () =>
    (await post('/auth/token', 'grant_type=password&username=alice&password=demo-password-1'))
      .body as unknown as Given
  const refresh = (token: string) =>
    post('/auth/token', new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }).toString())
  const meThere = async (token: string) =>
    (await sendRequest(nodes.there.url, '/auth/me', { headers: { Authorization: `Bearer ${token}` } })).status
  const coherence = { epoch: expect.any(String), acked: 2, fenced: 0, waitedMs: expect.any(Number) }

  it('of an access token ends it at once on every node; the session, and its other tokens, go on', async () => {
    const { access_token: token, refresh_token: refreshToken } = await given()
    expect(await meThere(token)).toBe(200)
    const { status, body, headers } = await revoke({ token })
    expect([status, body]).toEqual([200, { coherence }])
    expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
    expect(await meThere(token)).toBe(401)
    expect((await refresh(refreshToken)).status).toBe(200)
  })

  it('of a refresh token ends the session and all its access tokens at once on every node', async () => {
    const { access_token: token, refresh_token: refreshToken } = await given()
    expect(await meThere(token)).toBe(200)
    expect([(await revoke({ token: refreshToken })).status, await meThere(token)]).toEqual([200, 401])
    expect((await refresh(refreshToken)).body.error).toBe('invalid_grant')
  })

  it('of a spent refresh token ends the session, too', async () => {
    const { refresh_token: spent } = await given()
    const next = (await refresh(spent)).body as unknown as Given
    await revoke({ token: spent })
    expect([await meThere(next.access_token), (await refresh(next.refresh_token)).status]).toEqual([401, 400])
  })

  it('of an API token ends it', async () => {
    const { token } = await tokenFor(nodes.database, 'reports', {
      row: { purpose: 'api_token', sessionId: null },
      claims: { sid: undefined },
    })
    expect(await meThere(token)).toBe(200)
    await revoke({ token })
    expect(await meThere(token)).toBe(401)
  })

  it.each(['access_token', 'refresh_token', 'something_else'])(
    'takes the hint %s for no more than that',
    async (hint) => {
      const { access_token: token, refresh_token: refreshToken } = await given()
      expect((await revoke({ token, token_type_hint: hint })).status).toBe(200)
      expect((await revoke({ token: refreshToken, token_type_hint: hint })).status).toBe(200)
      expect([await meThere(token), (await refresh(refreshToken)).status]).toEqual([401, 400])
    },
  )

  it('by JSON is the same', async () => {
    const { access_token: token } = await given()
    expect(
      (await post('/auth/revoke', JSON.stringify({ token, client_id: 'ignored' }), 'application/json'))
        .status,
    ).toBe(200)
    expect(await meThere(token)).toBe(401)
  })

  it('responds 200 for an expired, revoked, unknown, forged or malformed token, and ends nothing else', async () => {
    const now = Math.floor(Date.now() / 1000)
    const victim = await tokenFor(nodes.database, 'bob')
    const expired = await tokenFor(nodes.database, 'alice', { claims: { iat: now - 1000, exp: now - 100 } })
    const forged = await signToken('bob', victim.jti, victim.sid, {
      secret: 'another-secret-0123456789-abcdefghij',
    })
    const data = await tokenFor(nodes.database, 'bob', { row: { purpose: 'data_connection' } })
    const { access_token: revoked } = await given()
    await revoke({ token: revoked })
    for (const token of [
      expired.token,
      revoked,
      forged,
      data.token,
      'A'.repeat(43),
      'rubbish',
      'a.b.c',
      'demo-portal-link-token',
      '\u0000',
    ])
      expect([token, (await revoke({ token })).status]).toEqual([token, 200])
    expect(await meThere(victim.token)).toBe(200)
    // never a login, and not ours to end
    expect(await nodes.database.sql('select status from tokens where id = $1', [data.jti])).toEqual([
      { status: 'active' },
    ])
  })

  it('looks up no text that cannot be a token', async () => {
    await nodes.database.sql('alter table refresh_tokens rename to refresh_tokens_away')
    try {
      expect((await revoke({ token: 'rubbish' })).body).toEqual({})
    } finally {
      await nodes.database.sql('alter table refresh_tokens_away rename to refresh_tokens')
    }
  })

  it('is audited under whose token it was', async () => {
    const { access_token: token } = await given()
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { jti: string }
    for (const _ of [1, 2]) await revoke({ token })
    expect(
      await nodes.database.sql(
        `select user_id, details -> 'after' ->> 'by' as by
          from audit_events
          where action = 'token_revoked' and details ->> 'subject' = $1`,
        [`token:${jti}`],
      ),
    ).toEqual([{ user_id: users.alice, by: 'revocation' }])
  })

  it.each([
    ['no token', 'token_type_hint=access_token', 'application/x-www-form-urlencoded', 400],
    ['an empty token', 'token=', 'application/x-www-form-urlencoded', 400],
    ['a token that came twice', 'token=a&token=b', 'application/x-www-form-urlencoded', 400],
    [
      'a hint that came twice',
      'token=a&token_type_hint=b&token_type_hint=c',
      'application/x-www-form-urlencoded',
      400,
    ],
    ['a token that is no text', '{"token":5}', 'application/json', 400],
    ['what is no JSON', '{', 'application/json', 400],
    ['another media type', 'token=a', 'text/plain', 415],
  ])('answers %s as RFC 6749 §5.2 has it', async (_, text, type, expected) => {
    const { status, body, headers } = await post('/auth/revoke', text, type)
    expect([status, body]).toEqual([
      expected,
      { error: 'invalid_request', error_description: expect.any(String) },
    ])
    expect(headers['content-type']).toMatch(/^application\/json/)
  })

  it('answers 503 while the directory is away, never that something was revoked', async () => {
    const { access_token: token } = await given()
    await nodes.database.sql('alter table tokens rename to tokens_away')
    try {
      const { status, body, headers } = await revoke({ token })
      expect([status, body.error]).toEqual([503, 'temporarily_unavailable'])
      expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    } finally {
      await nodes.database.sql('alter table tokens_away rename to tokens')
    }
  })

  it('is for POST alone', async () => {
    const answer = await sendRequest(nodes.here.url, '/auth/revoke?token=x')
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST, OPTIONS'])
  })
})

it('a refresh token that was never issued costs no coherent write, neither at revoke nor at logout', async () => {
  const gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } })
  try {
    // Each coherent write has a row here. Transaction ids would count other test files' databases, too.
    const writes = async () =>
      Number(
        (
          await gateway.database.sql<{ count: string }>('select count(distinct xid) from coherence.changes')
        )[0]?.count,
      )
    const invented = () => randomBytes(32).toString('base64url')
    const before = await writes()
    for (let count = 0; count < 20; count += 1) {
      const revoked = await sendRequest(gateway.url, '/auth/revoke', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ token: invented() }),
      })
      expect([revoked.status, revoked.text]).toEqual([200, '{}'])
      expect(
        (
          await sendRequest(gateway.url, '/auth/logout', {
            method: 'POST',
            headers: { Cookie: `refresh_token=${invented()}` },
          })
        ).status,
      ).toBe(204)
    }
    expect((await writes()) - before).toBe(0)
    const { token } = await tokenFor(gateway.database, 'alice')
    await sendRequest(gateway.url, '/auth/logout', {
      method: 'POST',
      headers: { Cookie: `auth_token=${token}` },
    })
    expect((await writes()) - before).toBe(1) // as a token that was issued costs
  } finally {
    await gateway.stop()
  }
})
