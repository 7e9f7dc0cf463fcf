import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { allowedFailures, delayMs } from '../../src/login/failed-logins.js'
import { sendRequest } from '../support/http-client.js'
import { users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

const password = 'demo-password-1'

describe('guessing at one account from many addresses', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({ environment: { TRUST_PROXY: '1', RATE_LIMIT_LOGIN: '3/60s' } })
  })
  afterAll(async () => {
    await gateway.stop()
  })

  let addresses = 0
  const elsewhere = () => `10.0.${Math.floor((addresses += 1) / 250)}.${addresses % 250}`
  const logIn = async (username: string, typed: string, address = elsewhere()) => {
    const begin = performance.now()
    const { status, headers } = await sendRequest(gateway.url, '/auth/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': address },
      body: JSON.stringify({ username, password: typed }),
    })
    return { status, headers, ms: performance.now() - begin }
  }
  const guess = async (username: string, times: number) => {
    const answers = []
    for (let count = 0; count < times; count += 1) answers.push(await logIn(username, 'wrong'))
    return answers
  }

  it('slows down to two seconds, and delays an owner with the right password elsewhere no further', async () => {
    const guesses = await guess('alice', 12)
    expect(new Set(guesses.map(({ status }) => status))).toEqual(new Set([401]))
    for (const [index, { ms }] of guesses.entries()) expect(ms).toBeGreaterThanOrEqual(delayMs(index) - 5)
    expect(delayMs(11)).toBe(2000)
    const owner = await logIn('alice', password)
    expect(owner.status).toBe(200)
    // before it is known to be right: no guess is told by its time
    expect(owner.ms).toBeGreaterThanOrEqual(1995)
    expect(owner.ms).toBeLessThan(8000)
    const other = await logIn('bob', password)
    expect(other.status).toBe(200)
    expect(other.ms).toBeLessThan(1900) // nobody else waits
  }, 60_000)

  it('of an unknown account takes as long', async () => {
    await guess('nobody-here', 8)
    const { status, ms } = await logIn('nobody-here', 'wrong')
    expect(status).toBe(401)
    expect(ms).toBeGreaterThanOrEqual(delayMs(8) - 5)
  })

  it('leaves each address ever fewer guesses, but never an address without one', async () => {
    const [home, bot] = [elsewhere(), elsewhere()]
    await guess('frank', 6)
    expect((await logIn('frank', 'wrong', bot)).status).toBe(401)
    const second = await logIn('frank', 'wrong', bot) // of three that it had otherwise
    expect(second.status).toBe(429)
    expect(Number(second.headers['retry-after'])).toBeGreaterThan(0)
    expect((await logIn('frank', password, home)).status).toBe(200)
  })

  it('allows the limit by address, half of it once an account has twice as many failures, and so on', () => {
    expect([0, 19, 20, 39, 40, 60, 80, 10_000].map((failures) => allowedFailures(10, failures))).toEqual([
      10, 10, 5, 5, 2, 1, 1, 1,
    ])
    expect(allowedFailures(1, 1000)).toBe(1)
  })

  it('is audited under the account, with the address, and without the typed password', async () => {
    await logIn('carol', 'a typed secret', '192.0.2.77')
    const event = await until(
      async () =>
        (
          await gateway.database.sql(
            `select user_id, details,
                (select value from audit_personal p where p.event_id = e.id and field = 'address') as address
              from audit_events e
              where action = 'login_failed' and user_id = $1`,
            [users.carol],
          )
        )[0],
    )
    expect(event).toMatchObject({ user_id: users.carol, address: '192.0.2.77' })
    expect(JSON.stringify(event)).not.toContain('typed secret')
  })

  it('many right logins at once all pass, one after the other, and are no failures', async () => {
    const address = elsewhere()
    const answers = await Promise.all(Array.from({ length: 12 }, () => logIn('erin', password, address)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  })
})

describe('RATE_LIMIT_LOGIN=off', () => {
  it('switches the growing delay off, too', async () => {
    const gateway = await startTestGateway()
    try {
      const times = []
      for (let count = 0; count < 14; count += 1) {
        const begin = performance.now()
        const { status } = await sendRequest(gateway.url, '/auth/login', {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ username: 'alice', password: 'wrong' }),
        })
        expect(status).toBe(401)
        times.push(performance.now() - begin)
      }
      expect(Math.min(...times.slice(11))).toBeLessThan(1500) // it would be 2000 at the least
    } finally {
      await gateway.stop()
    }
  })
})
