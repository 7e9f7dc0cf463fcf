import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { signToken, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

describe('POST /auth/logout', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const logOut = () => request(gateway.url).post('/auth/logout')
  const meWith = async (token: string) =>
    (await request(gateway.url).get('/auth/me').set('Authorization', `Bearer ${token}`)).status
  const rowsOf = async (jti: string) =>
    (
      await gateway.database.sql(
        `select t.status, t.revoked_at is not null as revoked, s.ended_at is not null as ended
          from tokens t
          left join sessions s on s.id = t.session_id
          where t.id = $1`,
        [jti],
      )
    )[0]
  const ended = { status: 'revoked', revoked: true, ended: true }

  function expectCleared(headers: Record<string, string>) {
    const cookies = headers['set-cookie'] as unknown as string[]
    const of = (name: string) => cookies.filter((cookie) => cookie.startsWith(`${name}=`))
    expect(of('auth_token')).toEqual([expect.stringMatching(/^auth_token=;.*Path=\/(?:;|$)/)])
    expect(of('refresh_token')).toEqual([expect.stringMatching(/^refresh_token=;.*Path=\/auth(?:;|$)/)])
    for (const cookie of cookies) expect(cookie).toMatch(/Expires=Thu, 01 Jan 1970|Max-Age=0/)
  }

  it.each(['cookie', 'bearer'])(
    'ends the session of the %s: its rows say so, and the token is refused from then on',
    async (kind) => {
      const { token, jti } = await tokenFor(gateway.database, 'alice')
      expect(await meWith(token)).toBe(200)
      const { status, text, headers } = await (kind === 'cookie'
        ? logOut().set('Cookie', `auth_token=${token}`)
        : logOut().set('Authorization', `Bearer ${token}`))
      expect([status, text]).toEqual([204, ''])
      expectCleared(headers)
      expect(await rowsOf(jti)).toEqual(ended)
      expect(await meWith(token)).toBe(401)
    },
  )

  it('ends all tokens of the session, and none of another', async () => {
    const [one, other] = [
      await tokenFor(gateway.database, 'alice'),
      await tokenFor(gateway.database, 'alice'),
    ]
    const second = await tokenFor(gateway.database, 'alice')
    await gateway.database.sql('update tokens set session_id = $1 where id = $2', [one.sid, second.jti])
    const sibling = await signToken('alice', second.jti, one.sid)
    expect(await meWith(sibling)).toBe(200)
    await logOut().set('Authorization', `Bearer ${one.token}`).expect(204)
    expect([await meWith(one.token), await meWith(sibling), await meWith(other.token)]).toEqual([
      401, 401, 200,
    ])
  })

  it('with an expired token ends its session all the same', async () => {
    const { token, jti } = await tokenFor(gateway.database, 'alice', {
      claims: { iat: Math.floor(Date.now() / 1000) - 2000, exp: Math.floor(Date.now() / 1000) - 1000 },
    })
    expectCleared((await logOut().set('Cookie', `auth_token=${token}`).expect(204)).headers)
    expect(await rowsOf(jti)).toEqual(ended)
  })

  it('works for a token without a session, for a disabled user and for a user who lost everything', async () => {
    const lone = await tokenFor(gateway.database, 'alice', { row: { sessionId: null } })
    await logOut().set('Authorization', `Bearer ${lone.token}`).expect(204)
    expect(await rowsOf(lone.jti)).toMatchObject({ status: 'revoked' })
    for (const user of ['dave', 'erin', 'carol'] as const) {
      const { token, jti } = await tokenFor(gateway.database, user)
      await logOut().set('Cookie', `auth_token=${token}`).set('X-Mandate-Id', 'nonsense').expect(204)
      expect(await rowsOf(jti)).toEqual(ended)
    }
  })

  it('without a token, or with a malformed or forged one, is 204 too, and ends no session', async () => {
    const { token, jti, sid } = await tokenFor(gateway.database, 'alice')
    const forged = await signToken('alice', jti, sid, { secret: 'another-secret-0123456789-abcdefghij' })
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${token.split('.')[1]!}.`
    expectCleared((await logOut().expect(204)).headers)
    for (const bad of ['rubbish', forged, unsigned, `${token}x`, token.replace(/\.[^.]*$/, '.')]) {
      expectCleared((await logOut().set('Authorization', `Bearer ${bad}`).expect(204)).headers)
      await logOut().set('Cookie', `auth_token=${bad}`).expect(204)
    }
    expect(await meWith(token)).toBe(200)
  })

  it('a second time is 204 and changes nothing', async () => {
    const { token, jti } = await tokenFor(gateway.database, 'alice')
    await logOut().set('Cookie', `auth_token=${token}`).expect(204)
    const before = await gateway.database.sql(
      'select t.revoked_at, s.ended_at from tokens t join sessions s on s.id = t.session_id where t.id = $1',
      [jti],
    )
    await logOut().set('Cookie', `auth_token=${token}`).expect(204)
    expect(
      await gateway.database.sql(
        'select t.revoked_at, s.ended_at from tokens t join sessions s on s.id = t.session_id where t.id = $1',
        [jti],
      ),
    ).toEqual(before)
  })

  it('while the directory is away is 503 and not 204: it confirms no logout that did not happen', async () => {
    const { token, jti } = await tokenFor(gateway.database, 'alice')
    await gateway.database.sql('alter table sessions rename to sessions_away')
    try {
      const { status, body, headers } = await logOut().set('Cookie', `auth_token=${token}`)
      expect([status, body.code]).toEqual([503, 'directory_unavailable'])
      expect(headers).not.toHaveProperty('set-cookie')
    } finally {
      await gateway.database.sql('alter table sessions_away rename to sessions')
    }
    expect(await rowsOf(jti)).toMatchObject({ status: 'active', ended: false })
    await logOut().set('Cookie', `auth_token=${token}`).expect(204)
    expect(await meWith(token)).toBe(401)
  })

  it('with both a cookie and a bearer token ends the one that requests use, the cookie’s', async () => {
    const [cookie, bearer] = [
      await tokenFor(gateway.database, 'alice'),
      await tokenFor(gateway.database, 'bob'),
    ]
    await logOut()
      .set('Cookie', `auth_token=${cookie.token}`)
      .set('Authorization', `Bearer ${bearer.token}`)
      .expect(204)
    expect(await rowsOf(cookie.jti)).toEqual(ended)
  })
})
