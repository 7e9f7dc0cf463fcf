import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

describe('the main job', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({ demoUpstream: true })
  })
  afterAll(async () => {
    await gateway.stop()
  })

  it('alice logs in and gets the upstream’s answer for her mandate', async () => {
    const browser = request.agent(gateway.server)
    await browser.post('/auth/login').send({ username: 'alice', password: 'demo-password-1' }).expect(200)
    const contacts = await browser.get('/api/crm/contacts').set('X-Mandate-Id', mandates.acme).expect(200)
    expect(contacts.body).toMatchObject({
      mandateId: mandates.acme,
      contacts: [{ name: 'Ada Lovelace' }, { name: 'Grace Hopper' }],
    })
  })

  it('a bearer token works like the cookie', async () => {
    const { token } = await tokenFor(gateway.database, 'bob')
    const me = await request(gateway.server)
      .get('/auth/me')
      .set('Authorization', `Bearer ${token}`)
      .expect(200)
    expect(me.body.user.username).toBe('bob')
  })
})
