import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { prepareRedis, type TestRedis } from '../support/redis.js'
import { until } from '../support/until.js'

const down = 'Redis does not answer: until it does, each node counts limits by itself'
const back = 'Redis answers again: limits are counted together'

describe('limits that nodes share through Redis', () => {
  let database: TestDatabase
  let redis: TestRedis
  const nodes: TestGateway[] = []
  beforeAll(async () => {
    database = await createTestDatabase()
    redis = await prepareRedis()
    await redis.start()
  })
  afterEach(async () => {
    redis.thaw()
    for (const node of nodes.splice(0)) await node.stop()
  })
  afterAll(async () => {
    await redis.stop()
    await database.drop()
  })

  const start = async (environment: Record<string, string>, count = 2) => {
    while (nodes.length < count)
      nodes.push(
        await startTestGateway({
          database,
          environment: { REDIS_URL: redis.url, TRUST_PROXY: '1', ...environment },
        }),
      )
    return nodes
  }
  let addresses = 0
  const newAddress = () => `198.51.100.${(addresses += 1)}`
  const look = async (node: TestGateway, address: string, agent?: Agent) =>
    await sendRequest(node.url, '/healthz', {
      headers: { 'X-Forwarded-For': address },
      ...(agent ? { agent } : {}),
    })
  const logIn = async (node: TestGateway, username: string, password: string, address: string) =>
    (
      await sendRequest(node.url, '/auth/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': address },
        body: JSON.stringify({ username, password }),
      })
    ).status
  const linesOf = (node: TestGateway, message: string) =>
    node.logLines.filter((line) => line.includes(message)).length
  const allHaveSaid = (message: string, withinMs = 5000) =>
    until(
      () => Promise.resolve(nodes.every((node) => linesOf(node, message) === 1) ? true : undefined),
      withinMs,
    )
  const isTold = (node: TestGateway, address: string, left: number) =>
    until(async () =>
      ((await look(node, address)).headers.ratelimit as string).includes(`r=${left};`) ? true : undefined,
    )
  /** Answers when a node counts together with others again: what one counts, the other hears of. */
  const countTogether = () =>
    until(async () => {
      const address = newAddress()
      for (let count = 0; count < 5; count += 1) await look(nodes[0]!, address)
      await pause(150)
      await look(nodes[1]!, address)
      await pause(150)
      const { headers } = await look(nodes[1]!, address)
      return Number(/q=(\d+)/.exec(String(headers['ratelimit-policy']))?.[1]) -
        Number(/r=(\d+)/.exec(String(headers.ratelimit))?.[1]) >=
        7
        ? true
        : undefined
    }, 15_000)

  it('requests by address are counted together: each node learns within moments what another let in', async () => {
    const [here, there] = (await start({ RATE_LIMIT_ADDRESS: '200/60s' })) as [TestGateway, TestGateway]
    const address = newAddress()
    for (let count = 0; count < 150; count += 1) expect((await look(here, address)).status).toBe(200)
    let own = 0
    await until(async () => {
      own += 1
      return (await look(there, address)).status === 429 ? true : undefined
    })
    expect(own).toBeLessThan(150) // alone it would have let 200 in
    await until(async () => ((await look(here, address)).status === 429 ? true : undefined))
    expect((await look(there, newAddress())).status).toBe(200)
  })

  it('together, nodes let in no more than the limit of each, and after moments no more at all', async () => {
    await start({ RATE_LIMIT_ADDRESS: '50/60s' })
    const address = newAddress()
    const statuses = (
      await Promise.all(nodes.flatMap((node) => Array.from({ length: 80 }, () => look(node, address))))
    ).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(50)
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(100)
    for (const node of nodes) expect((await look(node, address)).status).toBe(429)
  })

  it('requests for the keys are counted together, exactly: all nodes allow the limit and no more', async () => {
    await start({ RATE_LIMIT_ENTRY: '10/60s', RATE_LIMIT_ADDRESS: '1000/60s' })
    await countTogether()
    const keys = async (node: TestGateway, address: string) =>
      (await sendRequest(node.url, '/.well-known/jwks.json', { headers: { 'X-Forwarded-For': address } }))
        .status
    const address = newAddress()
    const statuses = await Promise.all(
      nodes.flatMap((node) => Array.from({ length: 15 }, () => keys(node, address))),
    )
    expect([
      statuses.filter((status) => status === 200).length,
      statuses.filter((status) => status === 429).length,
    ]).toEqual([10, 20])
    expect(await Promise.all(nodes.map((node) => keys(node, newAddress())))).toEqual([200, 200])
  })

  it('requests by user and mandate are counted together', async () => {
    const [here, there] = (await start({ RATE_LIMIT_USER: '200/60s' })) as [TestGateway, TestGateway]
    const { token } = await tokenFor(database, 'alice')
    const me = async (node: TestGateway) =>
      (await sendRequest(node.url, '/auth/me', { headers: { Authorization: `Bearer ${token}` } })).status
    for (let count = 0; count < 150; count += 1) expect(await me(here)).toBe(200)
    let own = 0
    await until(async () => {
      own += 1
      return (await me(there)) === 429 ? true : undefined
    })
    expect(own).toBeLessThan(150)
  })

  it('windows end together', async () => {
    const [here, there] = (await start({ RATE_LIMIT_ADDRESS: '3/1s' })) as [TestGateway, TestGateway]
    const address = newAddress()
    await until(async () => ((await look(here, address)).status === 429 ? true : undefined))
    await until(async () => ((await look(there, address)).status === 429 ? true : undefined))
    await until(async () => ((await look(there, address)).status === 200 ? true : undefined))
  })

  it('failed logins are counted together, exactly: the nodes together check no more than the limit', async () => {
    await start({ RATE_LIMIT_LOGIN: '4/60s', RATE_LIMIT_ADDRESS: '1000/60s' })
    await countTogether()
    const address = newAddress()
    const statuses = await Promise.all(
      nodes.flatMap((node) => Array.from({ length: 6 }, () => logIn(node, 'alice', 'wrong', address))),
    )
    expect(statuses.filter((status) => status === 401)).toHaveLength(4)
    expect(statuses.filter((status) => status === 429)).toHaveLength(8)
    expect(await logIn(nodes[1]!, 'alice', 'demo-password-1', newAddress())).toBe(200)
  })

  it('a good login at one node makes up for failures at another', async () => {
    const [here, there] = (await start({ RATE_LIMIT_LOGIN: '3/60s', RATE_LIMIT_ADDRESS: '1000/60s' })) as [
      TestGateway,
      TestGateway,
    ]
    await countTogether()
    const address = newAddress()
    for (let count = 0; count < 2; count += 1) expect(await logIn(here, 'bob', 'wrong', address)).toBe(401)
    expect(await logIn(there, 'bob', 'demo-password-1', address)).toBe(200)
    for (let count = 0; count < 2; count += 1) expect(await logIn(there, 'bob', 'wrong', address)).toBe(401)
    expect(await logIn(there, 'bob', 'demo-password-1', address)).toBe(200)
  })

  it('Redis holds no username, and nothing that does not end', async () => {
    const [here] = (await start({ RATE_LIMIT_LOGIN: '3/60s', RATE_LIMIT_ADDRESS: '100/60s' })) as [
      TestGateway,
      TestGateway,
    ]
    await logIn(here, 'carol-of-nowhere', 'wrong', newAddress())
    const { Redis } = await import('ioredis')
    const client = new Redis(redis.url)
    try {
      const keys = await until(async () => {
        const found = await client.keys('*')
        return found.some((key) => key.includes(':address:')) &&
          found.some((key) => key.includes(':account:'))
          ? found
          : undefined
      })
      expect(keys.join()).not.toContain('carol')
      for (const key of keys) expect(await client.pttl(key)).not.toBe(-1)
    } finally {
      client.disconnect()
    }
  })

  it.each([
    ['is stopped and started', { away: () => redis.stop(), again: () => redis.start() }],
    [
      'hangs and goes on',
      {
        away: () => {
          redis.freeze()
          return Promise.resolve()
        },
        again: () => {
          redis.thaw()
          return Promise.resolve()
        },
      },
    ],
  ])(
    'when Redis %s under load, requests go on, each node limits alone, logs it once, and recovers',
    async (_, { away, again }) => {
      await start({ RATE_LIMIT_ADDRESS: '400/60s', RATE_LIMIT_LOGIN: '3/60s' })
      await countTogether()
      let stopped = false
      const times: number[] = []
      const failures: unknown[] = []
      const agent = new Agent({ keepAlive: true })
      const load = Promise.all(
        nodes.flatMap((node) =>
          Array.from({ length: 4 }, async (_, index) => {
            while (!stopped) {
              const begin = performance.now()
              const status = await look(node, `203.0.113.${index}`, agent).then(
                (answer) => answer.status,
                (error: unknown) => String(error),
              )
              times.push(performance.now() - begin)
              if (status !== 200 && status !== 429) failures.push(status)
              await pause(2)
            }
          }),
        ),
      )
      try {
        await away()
        await until(async () => {
          await look(nodes[0]!, newAddress())
          return nodes.every((node) => linesOf(node, down) === 1) ? true : undefined
        }, 10_000)
        // Each by itself: all of its own limit, and no more.
        const [here, there] = nodes as [TestGateway, TestGateway]
        const address = newAddress()
        for (const node of [here, there]) {
          const begin = performance.now()
          const statuses = []
          for (let count = 0; count < 5; count += 1)
            statuses.push(await logIn(node, 'alice', count === 4 ? 'demo-password-1' : 'wrong', address))
          expect(statuses).toEqual([401, 401, 401, 429, 429])
          expect(performance.now() - begin).toBeLessThan(10_000)
        }
        const flooder = newAddress()
        for (const node of [here, there]) {
          const statuses = (
            await Promise.all(Array.from({ length: 450 }, () => look(node, flooder, agent)))
          ).map(({ status }) => status)
          expect([
            statuses.filter((status) => status === 200).length,
            statuses.filter((status) => status === 429).length,
          ]).toEqual([400, 50])
        }
        await again()
        await allHaveSaid(back, 15_000)
        await countTogether()
      } finally {
        stopped = true
        await load
        agent.destroy()
      }
      expect(failures).toEqual([])
      expect(times.length).toBeGreaterThan(50)
      expect(times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)]).toBeLessThan(1000)
      for (const node of nodes) expect([linesOf(node, down), linesOf(node, back)]).toEqual([1, 1])
    },
    60_000,
  )

  it('a gateway starts and serves while there is no Redis, and counts with the others when there is', async () => {
    await redis.stop()
    await start({ RATE_LIMIT_ADDRESS: '100/60s' })
    for (const node of nodes) expect((await look(node, newAddress())).status).toBe(200)
    await allHaveSaid(down)
    await redis.start()
    await countTogether()
    await isTold(nodes[0]!, newAddress(), 99)
  })
})
