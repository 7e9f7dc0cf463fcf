import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { loadConfig } from '../../src/config.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, type RawResponse } from '../support/raw-http.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('rate limits', () => {
  let database: TestDatabase
  let upstream: Upstream
  let gateway: TestGateway | undefined
  beforeAll(async () => {
    ;[database, upstream] = [await createTestDatabase(), await startUpstream()]
  })
  afterEach(async () => {
    await gateway?.stop()
    gateway = undefined
  })
  afterAll(async () => {
    await upstream.stop()
    await database.drop()
  })

  async function begin(environment: Record<string, string>): Promise<string> {
    gateway = await startTestGateway({
      database,
      environment,
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /public: { upstream: own, auth: public }
  /required: { upstream: own }
  /few: { upstream: own, auth: public, rateLimit: 2/60s }
  /few/mine: { upstream: own, rateLimit: 2/60s }
`,
    })
    return gateway.url
  }

  /** Status of as many requests, one after another. */
  async function statuses(count: number, ask: () => Promise<RawResponse>): Promise<number[]> {
    const all: number[] = []
    while (all.length < count) all.push((await ask()).status)
    return all
  }

  function expectRefusal(answer: RawResponse, windowSeconds: number) {
    expect([answer.status, codeOf(answer)]).toEqual([429, 'rate_limited'])
    const seconds = Number(answer.headers['retry-after']?.[0])
    expect(seconds).toBeGreaterThanOrEqual(1)
    expect(seconds).toBeLessThanOrEqual(windowSeconds)
    expect(answer.headers['content-type']?.join()).toContain('application/problem+json')
  }

  it('by address: after so many requests of any kind 429, with Retry-After', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: '4/60s' })
    const lines = [
      'GET /healthz',
      'GET /public',
      'GET /auth/me',
      'POST /auth/logout',
      'GET /public',
      'GET /healthz',
      'GET /auth/me',
    ]
    const answers: RawResponse[] = []
    for (const line of lines) answers.push(await sendLines(url, line))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 401, 204, 429, 429, 429])
    expectRefusal(answers[4]!, 60)
    const before = upstream.received.length
    await sendLines(url, 'GET /public')
    expect(upstream.received).toHaveLength(before)
  })

  it('are in the headers of draft 8: policy, remaining requests, and reset', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: '3/60s' })
    for (const [left, path] of [
      [2, '/healthz'],
      [1, '/public'],
      [0, '/auth/me'],
      [0, '/public'],
    ] as const) {
      const { headers } = await sendLines(url, `GET ${path}`)
      expect(headers['ratelimit-policy']?.join()).toMatch(/^"[^"]+"; ?q=3; ?w=60(?:;|$)/)
      expect(headers.ratelimit?.join()).toMatch(new RegExp(`^"[^"]+"; ?r=${left}; ?t=\\d+$`))
    }
  })

  it('by address: other addresses are untouched, and without a trusted proxy nobody can fake an address', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: '2/60s' })
    let count = 0
    const pretending = () => sendLines(url, 'GET /healthz', [`X-Forwarded-For: 203.0.113.${(count += 1)}`])
    expect(await statuses(4, pretending)).toEqual([200, 200, 429, 429])
  })

  it('by address, behind one trusted proxy: each client has its own, which it cannot change', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: '2/60s', TRUST_PROXY: '1' })
    let count = 0
    const from = (address: string) => () =>
      sendLines(url, 'GET /healthz', [`X-Forwarded-For: 10.9.9.${(count += 1)}, ${address}`])
    expect(await statuses(3, from('203.0.113.1'))).toEqual([200, 200, 429])
    expect(await statuses(3, from('203.0.113.2'))).toEqual([200, 200, 429])
  })

  it('by address: all of an IPv6 network of 64 bits is one client', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: '2/60s', TRUST_PROXY: '1' })
    let count = 0
    const within = () =>
      sendLines(url, 'GET /healthz', [`X-Forwarded-For: 2001:db8:0:1::${(count += 1).toString(16)}`])
    expect(await statuses(3, within)).toEqual([200, 200, 429])
    expect((await sendLines(url, 'GET /healthz', ['X-Forwarded-For: 2001:db8:0:2::1'])).status).toBe(200)
  })

  /** Asks from ever new networks of one IPv6 customer. */
  const fromNewNetworks = (url: string, path: string, customer: string) => {
    let count = 0
    return () =>
      sendLines(url, `GET ${path}`, [`X-Forwarded-For: ${customer}:${(count += 1).toString(16)}::1`])
  }

  it('by address: all networks of one IPv6 customer (a /48) share 20 times the limit of one', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: '2/60s', TRUST_PROXY: '1' })
    const ask = fromNewNetworks(url, '/healthz', '2001:db8:1')
    expect(await statuses(41, ask)).toEqual([...Array.from({ length: 40 }, () => 200), 429])
    expectRefusal(await ask(), 60)
    expect(await statuses(1, fromNewNetworks(url, '/healthz', '2001:db8:2'))).toEqual([200])
    expect(
      (await sendLines(url, 'GET /healthz', ['X-Forwarded-For: 203.0.113.9'])).headers[
        'ratelimit-policy'
      ]?.join(),
    ).toBe('"address";q=2;w=60')
  })

  it('by address: refused requests of one IPv6 network do not use up the limit of its neighbours', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: '2/60s', RATE_LIMIT_NETWORK: '4/60s', TRUST_PROXY: '1' })
    const flooding = () => sendLines(url, 'GET /healthz', ['X-Forwarded-For: 2001:db8:1:ffff::1'])
    expect(await statuses(20, flooding)).toEqual([200, 200, ...Array.from({ length: 18 }, () => 429)])
    expect(await statuses(3, fromNewNetworks(url, '/healthz', '2001:db8:1'))).toEqual([200, 200, 429])
  })

  it('by address: the limit of a /48 follows RATE_LIMIT_ADDRESS; RATE_LIMIT_NETWORK sets it or turns it off', () => {
    const limitOf = (environment: Record<string, string>) => loadConfig(environment).RATE_LIMIT_NETWORK
    expect(limitOf({})).toEqual({ requests: 24_000, windowMs: 60_000 })
    expect(limitOf({ RATE_LIMIT_ADDRESS: 'off' })).toBeUndefined()
    expect(limitOf({ RATE_LIMIT_NETWORK: '7/10s' })).toEqual({ requests: 7, windowMs: 10_000 })
    expect(limitOf({ RATE_LIMIT_NETWORK: 'off' })).toBeUndefined()
  })

  it('of a route: networks of one IPv6 customer share 20 times its limit; known callers count alone', async () => {
    const url = await begin({ TRUST_PROXY: '1' })
    expect(await statuses(41, fromNewNetworks(url, '/few', '2001:db8:1'))).toEqual([
      ...Array.from({ length: 40 }, () => 200),
      429,
    ])
    const { token } = await tokenFor(database, 'alice')
    const known = () =>
      sendLines(url, 'GET /few/mine', [`Authorization: Bearer ${token}`, 'X-Forwarded-For: 2001:db8:1:1::1'])
    expect(await statuses(3, known)).toEqual([200, 200, 429])
  })

  it('by user and mandate: another user and another mandate have their own', async () => {
    const url = await begin({ RATE_LIMIT_USER: '2/60s' })
    const [alice, again, bob] = [
      await tokenFor(database, 'alice'),
      await tokenFor(database, 'alice'),
      await tokenFor(database, 'bob'),
    ]
    const as =
      (token: string, ...lines: string[]) =>
      () =>
        sendLines(url, 'GET /required', [`Authorization: Bearer ${token}`, ...lines])
    expect(await statuses(3, as(alice.token))).toEqual([200, 200, 429])
    expectRefusal(await as(alice.token)(), 60)
    expect(await statuses(1, as(again.token))).toEqual([429]) // another login is the same user
    expect(await statuses(3, as(bob.token))).toEqual([200, 200, 429])
    const inMandate = (id: string) => () =>
      sendLines(url, 'GET /auth/context', [`Authorization: Bearer ${alice.token}`, `X-Mandate-Id: ${id}`])
    expect(await statuses(3, inMandate(mandates.acme))).toEqual([200, 200, 429])
    expect(await statuses(1, inMandate(mandates.acme.toUpperCase()))).toEqual([429])
    expect(await statuses(1, inMandate(mandates.globex))).toEqual([200])
  })

  it('by user and mandate: naming new mandates, or one where none applies, does not evade the limit', async () => {
    const url = await begin({ RATE_LIMIT_USER: '1/60s' })
    const { token } = await tokenFor(database, 'alice')
    const anywhere = (path: string) => () =>
      sendLines(url, `GET ${path}`, [`Authorization: Bearer ${token}`, `X-Mandate-Id: ${randomUUID()}`])
    expect(await statuses(2, anywhere('/required'))).toEqual([200, 429])
    expect(await statuses(60, anywhere('/auth/context'))).toEqual([
      403,
      ...Array.from({ length: 59 }, () => 429),
    ])
  })

  it('by user and mandate: each mandate that a caller may enter has its own window', async () => {
    const url = await begin({ RATE_LIMIT_USER: '3/60s' })
    const { token } = await tokenFor(database, 'alice')
    const inMandate = (id: string) => () =>
      sendLines(url, 'GET /auth/context', [`Authorization: Bearer ${token}`, `X-Mandate-Id: ${id}`])
    expect(await statuses(1, inMandate(randomUUID()))).toEqual([403])
    expect(await statuses(4, inMandate(mandates.acme))).toEqual([200, 200, 200, 429])
    expect(await statuses(4, inMandate(mandates.globex))).toEqual([200, 200, 200, 429])
    expect(await statuses(3, inMandate(randomUUID()))).toEqual([403, 403, 429])
  })

  it('by user: comes after the token, so a bad one is 401 however many there were', async () => {
    const url = await begin({ RATE_LIMIT_USER: '1/60s' })
    expect(
      await statuses(3, () => sendLines(url, 'GET /required', ['Authorization: Bearer rubbish'])),
    ).toEqual([401, 401, 401])
  })

  it('of a route: counted for that route alone, by caller where there is one', async () => {
    const url = await begin({})
    expect(await statuses(3, () => sendLines(url, 'GET /few'))).toEqual([200, 200, 429])
    expect((await sendLines(url, 'GET /public')).status).toBe(200)
    const [alice, bob] = [await tokenFor(database, 'alice'), await tokenFor(database, 'bob')]
    expect(
      await statuses(3, () => sendLines(url, 'GET /few/mine', [`Authorization: Bearer ${alice.token}`])),
    ).toEqual([200, 200, 429])
    expect((await sendLines(url, 'GET /few/mine', [`Authorization: Bearer ${bob.token}`])).status).toBe(200)
    const refused = await sendLines(url, 'GET /few')
    expectRefusal(refused, 60)
    expect(refused.headers['ratelimit-policy']?.join()).toContain('q=2')
  })

  it('end with their window', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: '1/2s' })
    expect(await statuses(2, () => sendLines(url, 'GET /healthz'))).toEqual([200, 429])
    const deadline = Date.now() + 10_000
    let status = 429
    while (status === 429 && Date.now() < deadline) status = (await sendLines(url, 'GET /healthz')).status
    expect(status).toBe(200)
  })

  it('that are off limit nothing and set no header', async () => {
    const url = await begin({ RATE_LIMIT_ADDRESS: 'off', RATE_LIMIT_USER: 'off' })
    const { token } = await tokenFor(database, 'alice')
    const answer = await sendLines(url, 'GET /required', [`Authorization: Bearer ${token}`])
    expect(answer.status).toBe(200)
    expect(answer.headers).not.toHaveProperty('ratelimit')
    expect(answer.headers).not.toHaveProperty('ratelimit-policy')
  })
})
