import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { TRUST_PROXY: '1', RATE_LIMIT_LOGIN: '10/60s' } })
})
afterAll(async () => {
  await gateway.stop()
})

/** Longer than any password: refused without being hashed, and a failure like any other. */
const quicklyWrong = 'x'.repeat(2000)
const logIn = async (username: string, password: string, address: string, url = gateway.url) =>
  await sendRequest(url, '/auth/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': address },
    body: JSON.stringify({ username, password }),
  })
const spray = async (count: number, address: string | ((n: number) => string), prefix = 'user') => {
  const statuses: number[] = []
  for (let n = 0; n < count; n += 1)
    statuses.push(
      (await logIn(`${prefix}-${n}`, quicklyWrong, typeof address === 'string' ? address : address(n)))
        .status,
    )
  return statuses
}
const countOf = (statuses: number[], status: number) => statuses.filter((one) => one === status).length

describe('one password tried on many accounts', () => {
  it('is stopped after 100 failures of an address for any accounts, also with the right password', async () => {
    const statuses = await spray(306, '198.51.100.1')
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([100, 206])
    const right = await logIn('alice', 'demo-password-1', '198.51.100.1')
    expect([right.status, JSON.parse(right.text).code]).toEqual([429, 'rate_limited'])
    expect(Number(right.headers['retry-after'])).toBeGreaterThan(600)
    expect((await logIn('alice', 'demo-password-1', '198.51.100.2')).status).toBe(200)
  })

  it('is not made to begin anew by a success between', async () => {
    const address = '198.51.100.3'
    await spray(60, address, 'first')
    expect((await logIn('alice', 'demo-password-1', address)).status).toBe(200)
    expect(countOf(await spray(60, address, 'second'), 401)).toBe(40)
  })

  it('from ever new networks of one IPv6 customer is stopped as well', async () => {
    const statuses = await spray(1100, (n) => `2001:db8:77:${n.toString(16)}::1`, 'six')
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([1000, 100])
  }, 60_000)

  it('at once, in many requests, does not pass together', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 150 }, (_, n) =>
        logIn(`at-once-${n}`, 'wrong', '198.51.100.4').then(({ status }) => status),
      ),
    )
    await spray(100, '198.51.100.4', 'rest')
    const more = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        logIn(`more-${n}`, 'wrong', '198.51.100.4').then(({ status }) => status),
      ),
    )
    expect(countOf(statuses, 401)).toBeLessThanOrEqual(102)
    expect(new Set(more)).toEqual(new Set([429]))
  }, 60_000)

  it('is one audit event with the address as personal data, then one with the number of refusals', async () => {
    const [event, ...others] = await until(async () => {
      const rows = await gateway.database.sql(`
        select e.user_id, e.mandate_id, e.details,
            (select value from audit_personal p where p.event_id = e.id and field = 'address') as address
          from audit_events e
            where action = 'logins_limited'
              and exists (select from audit_personal p where p.event_id = e.id and value = '198.51.100.1')`)
      return rows.length > 0 ? rows : undefined
    })
    expect(event).toMatchObject({
      user_id: null,
      mandate_id: 'system',
      address: '198.51.100.1',
      details: { failures: 100 },
    })
    expect(JSON.stringify(event?.details)).not.toContain('198.51.100.1')
    expect(others.length).toBeLessThanOrEqual(1) // its minute may have ended
  })
})

it('RATE_LIMIT_LOGIN=off switches the limit by address off', async () => {
  const open = await startTestGateway({ environment: { TRUST_PROXY: '1', RATE_LIMIT_LOGIN: 'off' } })
  try {
    const statuses = []
    for (let n = 0; n < 120; n += 1)
      statuses.push((await logIn(`user-${n}`, quicklyWrong, '198.51.100.1', open.url)).status)
    expect(countOf(statuses, 401)).toBe(120)
  } finally {
    await open.stop()
  }
})
