import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

describe('POST /auth/logout with a cookie and a bearer token', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const logOut = (cookie: string, bearer: string) =>
    request(gateway.url)
      .post('/auth/logout')
      .set('Cookie', `auth_token=${cookie}`)
      .set('Authorization', `Bearer ${bearer}`)
      .expect(204)
  const meWith = async (token: string) =>
    (await request(gateway.url).get('/auth/me').set('Authorization', `Bearer ${token}`)).status

  it('ends the sessions of both, and no others', async () => {
    const [cookie, bearer, other] = [
      await tokenFor(gateway.database, 'alice'),
      await tokenFor(gateway.database, 'bob'),
      await tokenFor(gateway.database, 'bob'),
    ]
    await logOut(cookie.token, bearer.token)
    expect([await meWith(cookie.token), await meWith(bearer.token), await meWith(other.token)]).toEqual([
      401, 401, 200,
    ])
  })

  it.each(['rubbish', 'a.b.c'])(
    'ends the session of the one that is good where the other is %s',
    async (rubbish) => {
      const [one, other] = [
        await tokenFor(gateway.database, 'alice'),
        await tokenFor(gateway.database, 'alice'),
      ]
      await logOut(rubbish, one.token)
      await logOut(other.token, rubbish)
      expect([await meWith(one.token), await meWith(other.token)]).toEqual([401, 401])
    },
  )
})
