import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { startLine, type Line } from '../faults/support/line.js'
import { sendRequest, type RequestOptions } from '../support/http-client.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { prepareRedis, type TestRedis } from '../support/redis.js'
import { until } from '../support/until.js'

const [down, back] = ['Redis does not answer', 'Redis answers again']
const limit = 60
const json = { 'Content-Type': 'application/json' }

let database: TestDatabase
let redis: TestRedis
let line: Line
let node: TestGateway
/** Straight to it, whatever is done to the line. */
let operator: Redis
beforeAll(async () => {
  database = await createTestDatabase()
  redis = await prepareRedis()
  await redis.start()
  line = await startLine(redis.url)
  operator = new Redis(redis.url)
  operator.on('error', () => undefined)
  node = await startTestGateway({
    database,
    demoUpstream: true,
    environment: {
      REDIS_URL: line.url,
      TRUST_PROXY: '1',
      RATE_LIMIT_ADDRESS: `${limit}/60s`,
      RATE_LIMIT_USER: '1000/60s',
      RATE_LIMIT_LOGIN: '3/60s',
    },
  })
}, 60_000)
afterAll(async () => {
  await node.stop()
  operator.disconnect()
  await line.stop()
  await redis.stop()
  await database.drop()
})

/** What is done to Redis, and taken back. */
const faults: Record<string, { begin: () => unknown; end: () => unknown }> = {
  refused: { begin: () => line.refuse(), end: () => line.heal() },
  silent: { begin: () => line.blackHole(), end: () => line.healNewOnly() },
  slow: { begin: () => line.delay(() => 400), end: () => line.delay(() => 0) },
  restarted: {
    begin: async () => {
      await redis.stop()
      await redis.start()
    },
    end: () => undefined,
  },
  'read-only': {
    begin: () => operator.call('REPLICAOF', '127.0.0.1', '1'),
    end: () => operator.call('REPLICAOF', 'NO', 'ONE'),
  },
  full: {
    begin: () => operator.config('SET', 'maxmemory', '1'),
    end: () => operator.config('SET', 'maxmemory', '0'),
  },
}

let addresses = 0
const from = (address = `198.51.100.${(addresses += 1)}`) => ({ 'X-Forwarded-For': address })

/** One of each kind of request, each with the status that it has while all is well. */
async function requests(): Promise<[string, number, string, RequestOptions][]> {
  const [alice, root, petra, taken] = await Promise.all([
    tokenFor(database, 'alice'),
    tokenFor(database, 'root'),
    tokenFor(database, 'petra'),
    tokenFor(database, 'bob'),
  ])
  const as = ({ token }: { token: string }) => ({ Authorization: `Bearer ${token}`, ...from() })
  const logIn = (password: string): RequestOptions => ({
    method: 'POST',
    headers: { ...json, ...from() },
    body: JSON.stringify({ username: 'carol', password }),
  })
  const { headers } = await sendRequest(node.url, '/auth/login', {
    method: 'POST',
    headers: { ...json, ...from() },
    body: JSON.stringify({ username: 'bob', password: 'demo-password-1' }),
  })
  const cookies = { Cookie: (headers['set-cookie'] ?? []).map((one) => one.split(';', 1)[0]).join('; ') }
  return [
    ['forwarded', 200, '/api/crm/echo', { headers: { ...as(alice), 'X-Mandate-Id': mandates.acme } }],
    ['a good login', 200, '/auth/login', logIn('demo-password-1')],
    ['a bad login', 401, '/auth/login', logIn('wrong')],
    ['refresh', 200, '/auth/refresh', { method: 'POST', headers: { ...cookies, ...from() } }],
    ['revocation', 200, `/system/tokens/${taken.jti}`, { method: 'DELETE', headers: as(root) }],
    [
      'administration',
      200,
      `/admin/users/${users.erin}`,
      { method: 'PATCH', headers: { ...json, ...as(petra) }, body: JSON.stringify({ fullName: 'Erin' }) },
    ],
    ['a page of the portal', 401, '/portal', { headers: from() }],
    ['/readyz', 200, '/readyz', { headers: from() }],
  ]
}

const said = (what: string) => node.logLines.filter((one) => one.includes(what)).length

describe('answers each kind of request without waiting, and keeps limits, in each state of Redis: when it is', () => {
  it.each(Object.keys(faults))(
    '%s',
    async (name) => {
      const { begin, end } = faults[name]!
      const asked = await requests()
      const backBefore = said(back)
      const downBefore = said(down)
      await begin()
      try {
        const answers = await Promise.all(
          asked.map(async ([kind, , path, question]) => {
            const startedAt = performance.now()
            const { status } = await sendRequest(node.url, path, question)
            expect([kind, performance.now() - startedAt < 3000]).toEqual([kind, true])
            return [kind, status]
          }),
        )
        expect(answers).toEqual(asked.map(([kind, status]) => [kind, status]))

        const flooder = from()
        const statuses = (
          await Promise.all(
            Array.from({ length: limit + 20 }, () => sendRequest(node.url, '/healthz', { headers: flooder })),
          )
        ).map(({ status }) => status)
        expect([
          statuses.filter((status) => status === 200).length,
          statuses.filter((status) => status === 429).length,
        ]).toEqual([limit, 20])
        if (name !== 'restarted')
          await until(() => Promise.resolve(said(down) > downBefore ? true : undefined), 10_000)
      } finally {
        await end()
      }
      if (name !== 'restarted')
        await until(() => Promise.resolve(said(back) > backBefore ? true : undefined), 15_000)
      const counted = from()
      await until(async () => {
        await sendRequest(node.url, '/healthz', { headers: counted })
        return (await operator.keys('*')).some((key) => key.includes(counted['X-Forwarded-For']))
          ? true
          : undefined
      }, 15_000)
    },
    60_000,
  )
})
