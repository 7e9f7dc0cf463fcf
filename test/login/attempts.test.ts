import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

const password = 'demo-password-1'

describe('failed logins', () => {
  let database: TestDatabase
  let gateway: TestGateway | undefined
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterEach(async () => {
    await gateway?.stop()
    gateway = undefined
  })
  afterAll(async () => {
    await database.drop()
  })

  async function begin(environment: Record<string, string>) {
    const { url } = (gateway = await startTestGateway({ database, environment }))
    return (username: string, typed: string, address = '203.0.113.1') =>
      request(url).post('/auth/login').set('X-Forwarded-For', address).send({ username, password: typed })
  }

  it('are limited by address and account: the guesser waits; the owner and others elsewhere do not', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: '3/60s', TRUST_PROXY: '1' })
    for (let count = 0; count < 3; count += 1) await logIn('alice', 'wrong').expect(401)
    const { status, body, headers } = await logIn('alice', 'wrong')
    expect([status, body.code]).toEqual([429, 'rate_limited'])
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60)
    await logIn('alice', password).expect(429) // even the right one, or guessing would go on
    await logIn('alice', password, '203.0.113.2').expect(200)
    await logIn('bob', password).expect(200)
  })

  it('of an unknown account are limited alike, and so tell nothing', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: '2/60s', TRUST_PROXY: '1' })
    for (const username of ['nobody', 'alice', 'dave']) {
      const statuses = []
      for (let count = 0; count < 4; count += 1) statuses.push((await logIn(username, 'wrong')).status)
      expect([username, statuses]).toEqual([username, [401, 401, 429, 429]])
    }
  })

  it('in other spellings of the name are attempts on the same account', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: '2/60s', TRUST_PROXY: '1' })
    const statuses = []
    for (const username of ['alice', 'Alice', 'ALICE', 'aLICE'])
      statuses.push((await logIn(username, 'wrong')).status)
    expect(statuses).toEqual([401, 401, 429, 429])
  })

  it('are forgotten after a good one, which is not counted itself', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: '2/60s', TRUST_PROXY: '1' })
    for (let round = 0; round < 3; round += 1) {
      await logIn('alice', 'wrong').expect(401)
      await logIn('alice', password).expect(200)
    }
    for (let round = 0; round < 5; round += 1) await logIn('alice', password).expect(200)
  })

  it('that are made at once do not pass together', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: '3/60s', TRUST_PROXY: '1' })
    const statuses = (await Promise.all(Array.from({ length: 12 }, () => logIn('bob', 'wrong')))).map(
      ({ status }) => status,
    )
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(3)
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(9)
  })

  it('at the token endpoint are counted together with those of the login', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: '2/60s', TRUST_PROXY: '1' })
    const ask = () =>
      request(gateway!.url)
        .post('/auth/token')
        .set('X-Forwarded-For', '203.0.113.1')
        .type('form')
        .send({ grant_type: 'password', username: 'alice', password: 'wrong' })
    await ask().expect(400)
    await logIn('alice', 'wrong').expect(401)
    const { status, headers } = await ask()
    expect(status).toBe(429)
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    await logIn('alice', password).expect(429)
  })

  it('that could not be checked are not counted', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: '2/60s', TRUST_PROXY: '1' })
    await database.sql('alter table users rename to users_away')
    try {
      for (let count = 0; count < 4; count += 1) await logIn('alice', password).expect(503)
    } finally {
      await database.sql('alter table users_away rename to users')
    }
    await logIn('alice', password).expect(200)
  })

  it('are forgotten with their window', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: '1/2s', TRUST_PROXY: '1' })
    await logIn('alice', 'wrong').expect(401)
    await logIn('alice', password).expect(429)
    const deadline = Date.now() + 10_000
    let status = 429
    while (status === 429 && Date.now() < deadline) status = (await logIn('alice', password)).status
    expect(status).toBe(200)
  })

  it('are not limited where the limit is off', async () => {
    const logIn = await begin({ RATE_LIMIT_LOGIN: 'off' })
    for (let count = 0; count < 15; count += 1) await logIn('alice', 'wrong').expect(401)
    await logIn('alice', password).expect(200)
  })
})

describe('logins beyond the hashing capacity', () => {
  it('are refused at once with 503 overloaded and Retry-After, while those in the queue are served', async () => {
    const gateway = await startTestGateway()
    const logIn = (username: string) =>
      request(gateway.url).post('/auth/login').send({ username, password: 'wrong' })
    try {
      // Two hashes run at a time: these two take seconds each, however fast the machine is, and so hold the
      // queue up.
      await gateway.database.sql(
        "update users set password_hash = replace(password_hash, 't=2,', 't=100,') where username in ('alice', 'bob')",
      )
      let held = 2
      const long = ['alice', 'bob'].map((username) =>
        logIn(username).then(({ status }) => {
          held -= 1
          return status
        }),
      )
      const all = await Promise.all(
        Array.from({ length: 150 }, (_, index) =>
          logIn(`nobody-${index}`).then(({ status, body, headers }) => ({ status, body, headers, held })),
        ),
      )
      const refused = all.filter(({ status }) => status === 503)
      expect(refused.length).toBeGreaterThan(20)
      expect(refused.filter(({ held }) => held === 2).length).toBeGreaterThan(20)
      for (const { body, headers } of refused) {
        expect(body.code).toBe('overloaded')
        expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      }
      expect(all.filter(({ status }) => status === 401)).toHaveLength(all.length - refused.length)
      expect(await Promise.all(long)).toEqual([401, 401])
      await request(gateway.url).get('/healthz').expect(200)
      // and well again
      await request(gateway.url).post('/auth/login').send({ username: 'carol', password }).expect(200)
    } finally {
      await gateway.stop()
    }
  }, 120_000)

  it('do not delay requests that hash nothing', async () => {
    const gateway = await startTestGateway()
    try {
      const state = { open: true }
      const logins = Promise.all(
        Array.from({ length: 80 }, (_, index) =>
          request(gateway.url)
            .post('/auth/login')
            .send({ username: `nobody-${index}`, password: 'x' }),
        ),
      ).finally(() => {
        state.open = false
      })
      const times = []
      while (state.open && times.length < 50) {
        const start = performance.now()
        await request(gateway.url).get('/healthz').expect(200)
        times.push(performance.now() - start)
      }
      expect(times.sort((a, b) => a - b)[Math.floor(times.length / 2)]).toBeLessThan(500)
      await logins
    } finally {
      await gateway.stop()
    }
  }, 120_000)
})
