import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

describe('a node', () => {
  let gateway: TestGateway
  beforeAll(async () => { gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } }) })
  afterAll(async () => { await gateway.stop() })

  it('that hears of nothing new counts its lease from each renewal, not from the one before', async () => {
    await pause(700) // a node that starts renews twice at once
    const left: number[] = []
    for (const end = performance.now() + 1500; performance.now() < end;) {
      await pause(20)
      const { text } = await request(gateway.server).get('/metrics').expect(200)
      left.push(Number(/^gateway_lease_remaining_seconds\S* (\S+)$/m.exec(text)?.[1]))
    }
    expect(Math.max(...left)).toBeLessThanOrEqual(4.95) // clocks may differ by a hundredth
    expect(Math.max(...left)).toBeGreaterThan(4.6) // it renews every half second
  })

  it('that has refused a login, since nobody has its name any more, hears of somebody who is given the name again', async () => {
    const { token } = await tokenFor(gateway.database, 'erin')
    const becomes = (status: number) => until(async () => (await request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${token}`)).status === status)
    await becomes(200)
    await gateway.database.sql(`update users set username = 'erika' where username = 'erin'`)
    await becomes(401)
    await gateway.database.sql(`update users set username = 'erin' where username = 'erika'`)
    await becomes(200)
  })
})
