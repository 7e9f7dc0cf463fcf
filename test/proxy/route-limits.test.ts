import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, tokenFor, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('the limits of a route', () => {
  let database: TestDatabase
  let upstream: Upstream
  let gateway: TestGateway
  const tokens: Partial<Record<DemoUser, string>> = {}
  beforeAll(async () => {
    ;[database, upstream] = [await createTestDatabase(), await startUpstream()]
    for (const user of ['alice', 'bob'] as const) tokens[user] = (await tokenFor(database, user)).token
  })
  beforeEach(async () => {
    gateway = await startTestGateway({
      database,
      environment: { TRUST_PROXY: '1' },
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /by/user: { upstream: own, auth: optional, mandate: optional, rateLimit: 2/60s }
  /by/mandate: { upstream: own, auth: optional, mandate: optional, rateLimit: { limit: 2/60s, by: mandate } }
  /by/address: { upstream: own, mandate: optional, rateLimit: { limit: 2/60s, by: address } }
  /by/second: { upstream: own, auth: public, rateLimit: 1/2s }
  /guarded: { upstream: own, guard: platformAdmin, rateLimit: 2/60s }
  /at/route: { upstream: own, auth: public, concurrency: 2 }
  /at/user: { upstream: own, auth: optional, concurrency: { limit: 1, by: user } }
  /at/mandate: { upstream: own, mandate: optional, concurrency: { limit: 1, by: mandate } }
  /at/address: { upstream: own, auth: public, concurrency: { limit: 1, by: address } }
`,
    })
  })
  afterEach(async () => {
    upstream.answerWith(undefined)
    await gateway.stop()
  })
  afterAll(async () => {
    await upstream.stop()
    await database.drop()
  })

  const linesOf = ({
    user,
    mandate,
    address = '203.0.113.1',
  }: {
    user?: DemoUser
    mandate?: string
    address?: string
  }) => [
    `X-Forwarded-For: ${address}`,
    ...(user ? [`Authorization: Bearer ${tokens[user] ?? ''}`] : []),
    ...(mandate ? [`X-Mandate-Id: ${mandate}`] : []),
  ]
  const ask = (path: string, who: Parameters<typeof linesOf>[0] = {}) =>
    sendLines(gateway.url, `GET ${path}`, linesOf(who))
  const statuses = async (path: string, ...callers: Parameters<typeof linesOf>[0][]) => {
    const found: number[] = []
    for (const who of callers) found.push((await ask(path, who)).status)
    return found
  }

  describe('on requests in a window', () => {
    it('by user count each user alone, in whichever mandate and from whichever address', async () => {
      expect(
        await statuses(
          '/by/user',
          { user: 'alice', mandate: mandates.acme },
          { user: 'alice', address: '203.0.113.2' },
          { user: 'alice', mandate: mandates.globex },
        ),
      ).toEqual([200, 200, 429])
      expect(await statuses('/by/user', { user: 'bob' })).toEqual([200])
    })

    it('by user count anonymous callers by address', async () => {
      expect(await statuses('/by/user', {}, {}, {}, { address: '203.0.113.2' }, { user: 'alice' })).toEqual([
        200, 200, 429, 200, 200,
      ])
    })

    it('by mandate count all who enter it together, and a mandate that refuses counts nothing', async () => {
      const { acme, globex } = mandates
      expect(
        await statuses(
          '/by/mandate',
          { user: 'alice', mandate: acme },
          { user: 'bob', mandate: acme },
          { user: 'bob', mandate: acme.toUpperCase() },
          { user: 'alice', mandate: globex },
        ),
      ).toEqual([200, 200, 429, 200])
      expect(
        await statuses(
          '/by/mandate',
          { user: 'bob', mandate: globex },
          { user: 'bob', mandate: globex },
          { user: 'alice', mandate: globex },
          { user: 'alice', mandate: globex },
        ),
      ).toEqual([403, 403, 200, 429])
      expect(
        await statuses('/by/mandate', { user: 'bob' }, { user: 'bob' }, { user: 'bob' }, { user: 'alice' }),
      ).toEqual([200, 200, 429, 200])
    })

    it('by address count all of one address together', async () => {
      expect(
        await statuses(
          '/by/address',
          { user: 'alice' },
          { user: 'bob' },
          { user: 'bob' },
          { user: 'bob', address: '203.0.113.2' },
        ),
      ).toEqual([200, 200, 429, 200])
    })

    it('are in the RateLimit headers, and a refusal says when to retry and reaches no service', async () => {
      const first = await ask('/by/user', { user: 'alice' })
      expect(first.headers['ratelimit-policy']?.[0]).toMatch(/^"route-[0-9a-f]{12}";q=2;w=60$/)
      expect(first.headers.ratelimit?.[0]).toMatch(/^"route-[0-9a-f]{12}";r=1;t=\d+$/)
      await ask('/by/user', { user: 'alice' })
      const before = upstream.received.length
      const refused = await ask('/by/user', { user: 'alice' })
      expect([refused.status, codeOf(refused), upstream.received.length]).toEqual([
        429,
        'rate_limited',
        before,
      ])
      expect(Number(refused.headers['retry-after']?.[0])).toBeGreaterThan(50)
    })

    it('let in again in the next window', async () => {
      expect(await statuses('/by/second', {}, {})).toEqual([200, 429])
      await until(async () => (await ask('/by/second')).status === 200 || undefined, 10_000)
    })

    it('do not count what was refused before', async () => {
      expect(await statuses('/guarded', { user: 'alice' }, { user: 'alice' }, { user: 'alice' })).toEqual([
        403, 403, 403,
      ])
    })
  })

  describe('on requests under way', () => {
    /** Begins a request, and answers once it has reached the upstream. */
    async function begin(path: string, who: Parameters<typeof linesOf>[0] = {}) {
      const arrived = new Promise<ServerResponse>((resolve) =>
        upstream.answerWith((_req, res) => resolve(res)),
      )
      const headers = Object.fromEntries(linesOf(who).map((line) => line.split(': ') as [string, string]))
      const req = httpRequest(gateway.url + path, { headers, agent: false })
      req.on('error', () => undefined)
      const response = once(req, 'response').then(([res]) => res as IncomingMessage)
      response.catch(() => undefined)
      req.end()
      const theirs = await arrived
      upstream.answerWith(undefined)
      return {
        req,
        finish: async () => {
          theirs.end('done')
          const res = await response
          res.resume()
          await once(res, 'close')
        },
      }
    }

    it('of the route count everybody’s together, and say that the service is busy', async () => {
      const [first, second] = [await begin('/at/route'), await begin('/at/route', { address: '203.0.113.2' })]
      const refused = await ask('/at/route')
      expect([refused.status, codeOf(refused)]).toEqual([503, 'overloaded'])
      expect(refused.headers['retry-after']).toHaveLength(1)
      await first.finish()
      await until(async () => (await ask('/at/route')).status === 200 || undefined, 1000)
      await second.finish()
    })

    it('of a user count each user alone, and say that it is the caller', async () => {
      const first = await begin('/at/user', { user: 'alice' })
      const refused = await ask('/at/user', { user: 'alice', address: '203.0.113.2' })
      expect([refused.status, codeOf(refused), refused.headers['retry-after']]).toEqual([
        429,
        'rate_limited',
        ['1'],
      ])
      expect((await ask('/at/user', { user: 'bob' })).status).toBe(200)
      expect((await ask('/at/user')).status).toBe(200)
      await first.finish()
      await until(async () => (await ask('/at/user', { user: 'alice' })).status === 200 || undefined, 1000)
    })

    it('of a mandate count all who are in it together', async () => {
      const first = await begin('/at/mandate', { user: 'alice', mandate: mandates.acme })
      expect(
        await statuses(
          '/at/mandate',
          { user: 'bob', mandate: mandates.acme },
          { user: 'alice', mandate: mandates.globex },
          { user: 'bob' },
        ),
      ).toEqual([429, 200, 200])
      await first.finish()
    })

    it('of an address count all of it together', async () => {
      const first = await begin('/at/address')
      expect(await statuses('/at/address', {}, { address: '203.0.113.2' })).toEqual([429, 200])
      await first.finish()
    })

    it.each([
      ['an address', '/at/address', 429],
      ['a user, for those who are nobody,', '/at/user', 200],
    ])(
      'of %s count ever new networks of one IPv6 customer (a /48) together, up to 20 times as many',
      async (_, path, forAlice) => {
        const under: Awaited<ReturnType<typeof begin>>[] = []
        for (let network = 1; network <= 20; network += 1)
          under.push(await begin(path, { address: `2001:db8:1:${network.toString(16)}::1` }))
        const refused = await ask(path, { address: '2001:db8:1:ffff::1' })
        expect([refused.status, codeOf(refused), refused.headers['retry-after']]).toEqual([
          429,
          'rate_limited',
          ['1'],
        ])
        expect(await statuses(path, { address: '2001:db8:2:1::1' }, { address: '203.0.113.2' })).toEqual([
          200, 200,
        ])
        expect(await statuses(path, { user: 'alice', address: '2001:db8:1:ffff::1' })).toEqual([forAlice])
        await under.pop()?.finish()
        await until(
          async () => (await ask(path, { address: '2001:db8:1:ffff::1' })).status === 200 || undefined,
          1000,
        )
        for (const one of under) await one.finish()
      },
    )

    it('are free again when a client goes away, and when one was refused', async () => {
      const first = await begin('/at/user', { user: 'alice' })
      for (let again = 0; again < 5; again += 1)
        expect((await ask('/at/user', { user: 'alice' })).status).toBe(429)
      first.req.destroy()
      await until(async () => (await ask('/at/user', { user: 'alice' })).status === 200 || undefined, 1000)
      const second = await begin('/at/user', { user: 'alice' })
      expect((await ask('/at/user', { user: 'alice' })).status).toBe(429)
      await second.finish()
    })

    it('are free again when the service fails', async () => {
      for (let again = 0; again < 3; again += 1) {
        upstream.answerWith((_req, res) => {
          res.destroy()
        })
        const failed = await sendLines(gateway.url, 'POST /at/user', [
          ...linesOf({ user: 'alice' }),
          'Content-Length: 0',
        ])
        expect(failed.status).toBe(502)
      }
      upstream.answerWith(undefined)
      expect((await ask('/at/user', { user: 'alice' })).status).toBe(200)
    })
  })
})
