import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

const leaseMs = 1000

describe('a node', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({ environment: { COHERENCE_LEASE_MS: '5000' } })
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const leftSeconds = async () => {
    const { text } = await request(gateway.server).get('/metrics').expect(200)
    return Number(/^gateway_lease_remaining_seconds\S* (\S+)$/m.exec(text)?.[1])
  }

  it('counts its lease from each renewal, not from the one before, if nothing is new', async () => {
    await pause(700) // a node that starts renews twice at once
    const left: number[] = []
    for (const end = performance.now() + 1500; performance.now() < end;) {
      await pause(20)
      left.push(await leftSeconds())
    }
    expect(Math.max(...left)).toBeLessThanOrEqual(4.95) // clocks may differ by a hundredth
    expect(Math.max(...left)).toBeGreaterThan(4.6) // it renews every half second
  })

  it('that refused a login for an unknown name learns that somebody has the name now', async () => {
    const { token } = await tokenFor(gateway.database, 'erin')
    const becomes = (status: number) =>
      until(
        async () =>
          (await request(gateway.server).get('/auth/me').set('Authorization', `Bearer ${token}`)).status ===
          status,
      )
    await becomes(200)
    await gateway.database.sql(`update users set username = 'erika' where username = 'erin'`)
    await becomes(401)
    await gateway.database.sql(`update users set username = 'erin' where username = 'erika'`)
    await becomes(200)
  })

  it('that falls silent delays writers by its lease and a hundredth of it, no longer', async () => {
    const root = await tokenFor(gateway.database, 'root')
    for (let round = 0; ; round += 1) {
      const { jti } = await tokenFor(gateway.database, 'alice')
      await gateway.database.sql(
        `insert into coherence.nodes (id, lease_ms) values (gen_random_uuid(), ${leaseMs})`,
      )
      const { body } = await request(gateway.server)
        .delete(`/system/tokens/${jti}`)
        .set('Authorization', `Bearer ${root.token}`)
        .expect(200)
      expect(body.coherence).toMatchObject({ acked: 1, fenced: 1 })
      expect(body.coherence.waitedMs).toBeGreaterThanOrEqual(1.01 * leaseMs)
      if (body.coherence.waitedMs < 1.6 * leaseMs) break
      expect(round).toBeLessThan(3) // a machine that is busy may be late, but not each time
    }
  })

  it('that was given up as dead starts afresh as soon as it learns of it', async () => {
    const beginsAnew = async () => {
      await pause(200) // in the midst between two renewals
      const begun = performance.now()
      await gateway.database.sql('delete from coherence.nodes')
      await until(
        async () => (await gateway.database.sql('select from coherence.nodes where seq > 0')).length === 1,
      )
      return performance.now() - begun
    }
    const took = [await beginsAnew(), await beginsAnew(), await beginsAnew()]
    // what is put off until the renewal after that comes half a second later
    expect(Math.min(...took)).toBeLessThan(480)
  })
})
