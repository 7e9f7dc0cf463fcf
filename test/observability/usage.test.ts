import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createLogger, transports } from 'winston'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { startUsage, type Usage, type UsageBatch } from '../../src/observability/usage.js'
import { addUsage, forgetUsageWriter } from '../../src/system/usage-queries.js'
import { sendRequest } from '../support/http-client.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { instances, mandates, tokenFor, type DemoUser } from '../support/demo.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { startTestGateway, testSecret } from '../support/gateway.js'
import { until } from '../support/until.js'

const logger = createLogger({ silent: true, transports: [new transports.Console()] })
let database: TestDatabase
let pool: Database
const started: Usage[] = []
beforeAll(async () => {
  database = await createTestDatabase()
  pool = connectDatabase({ url: database.url, setRole: false })
})
afterEach(async () => {
  for (const usage of started.splice(0)) await usage.close()
})
afterAll(async () => {
  await cleanUpProcesses()
  await pool.close()
  await database.drop()
})

interface Row {
  day: string
  requests: string
  denials: string
}
const rowsOf = (mandateId: string) =>
  database.sql<Row>(
    `select day::text as day, requests::text as requests, denials::text as denials
      from usage_daily
      where mandate_id = $1
      order by day`,
    [mandateId],
  )
const totalOf = async (mandateId: string) =>
  (await rowsOf(mandateId)).reduce((sum, { requests }) => sum + Number(requests), 0)

function start(options: Partial<Parameters<typeof startUsage>[0]> = {}): Usage {
  const usage = startUsage({
    write: (batch) => addUsage(pool, batch),
    forget: (writerId) => forgetUsageWriter(pool, writerId),
    logger,
    everyMs: 20,
    ...options,
  })
  started.push(usage)
  return usage
}

describe('the usage of mandates', () => {
  it('is added up by mandate and day (UTC), from any number of writers', async () => {
    const [one, other] = [randomUUID(), randomUUID()]
    let moment = Date.UTC(2026, 10, 25, 23, 59, 59, 900)
    const [here, there] = [start({ now: () => moment }), start({ now: () => moment })]
    here.count(one, false)
    here.count(other, true)
    there.count(one, true)
    moment += 200 // midnight has passed, before anything was written
    here.count(one, false)
    await Promise.all([here.close(), there.close()])
    expect(await rowsOf(one)).toEqual([
      { day: '2026-11-25', requests: '2', denials: '1' },
      { day: '2026-11-26', requests: '1', denials: '0' },
    ])
    expect(await rowsOf(other)).toEqual([{ day: '2026-11-25', requests: '1', denials: '1' }])
  })

  it('is written as often as it was said, and not more often while there is much', async () => {
    const mandateId = randomUUID()
    let written = 0
    const usage = start({
      everyMs: 250,
      write: async (batch) => {
        written += 1
        await addUsage(pool, batch)
      },
    })
    let counted = 0
    for (const end = performance.now() + 1100; performance.now() < end;) {
      for (let n = 0; n < 20; n += 1) usage.count(mandateId, false)
      counted += 20
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
    expect(written).toBeGreaterThan(0)
    expect(written).toBeLessThanOrEqual(4)
    await usage.close()
    expect(await totalOf(mandateId)).toBe(counted)
  })

  it('is never added twice, where it is not known whether it was', async () => {
    const mandateId = randomUUID()
    const sent: UsageBatch[] = []
    let lost = 3
    const usage = start({
      write: async (batch) => {
        sent.push(structuredClone(batch))
        await addUsage(pool, batch)
        if (lost-- > 0) throw new Error('the answer was lost')
      },
    })
    for (let index = 0; index < 10; index += 1) usage.count(mandateId, false)
    await until(() => Promise.resolve(sent.length >= 2 || undefined))
    usage.count(mandateId, false) // goes with the next batch: the first one is sent as it was
    await until(async () => (await totalOf(mandateId)) === 11 || undefined)
    await usage.close()
    expect(await rowsOf(mandateId)).toMatchObject([{ requests: '11' }])
    expect(sent.slice(0, 4).map(({ number }) => number)).toEqual([1, 1, 1, 1])
  })

  it('is kept while the database is away, up to a bound, and what does not fit is told', async () => {
    const all = Array.from({ length: 5 }, () => randomUUID())
    let isAway = true
    const usage = start({
      mostWaiting: 3,
      write: (batch) => (isAway ? Promise.reject(new Error('away')) : addUsage(pool, batch)),
    })
    for (const mandateId of all) usage.count(mandateId, false)
    for (const mandateId of all) usage.count(mandateId, false)
    expect(usage.counts()).toEqual({ waiting: 3, dropped: 4 })
    isAway = false
    await usage.close()
    expect(await Promise.all(all.map(totalOf))).toEqual([2, 2, 2, 0, 0])
  })

  it('leaves no writer behind when it has ended in order', async () => {
    const usage = start()
    usage.count(randomUUID(), false)
    await usage.close()
    expect(await database.sql('select id from usage_writers')).toEqual([])
  })

  it('holds what was asked of real mandates, let in or not, and nothing of others', async () => {
    const gateway = await startTestGateway({ demoUpstream: true, database })
    const tokens = new Map<DemoUser, string>()
    for (const user of ['alice', 'bob', 'erin'] as const)
      tokens.set(user, (await tokenFor(database, user)).token)
    const askAs = (
      user: DemoUser,
      headers: Record<string, string>,
      method = 'GET',
      path = '/api/crm/contacts',
    ) =>
      sendRequest(gateway.url, path, {
        method,
        headers: { Authorization: `Bearer ${tokens.get(user) ?? ''}`, ...headers },
      })
    const nowhere = randomUUID()
    const statuses = [
      await askAs('alice', { 'X-Mandate-Id': mandates.globex }), // granted
      // granted; the service says 404
      await askAs('alice', { 'X-Mandate-Id': mandates.globex }, 'GET', '/api/crm/nothing-here'),
      await askAs('alice', { 'X-Mandate-Id': mandates.globex }, 'DELETE'), // denied: a viewer
      await askAs('erin', { 'X-Mandate-Id': mandates.globex }), // denied: a stranger
      // in the instance's own mandate
      await askAs('bob', { 'X-Instance-Id': instances.acmeCrm }, 'GET', '/auth/context'),
      await askAs('erin', { 'X-Mandate-Id': nowhere }),
      await askAs('alice', {}, 'GET', '/auth/me'), // in no mandate
    ].map(({ status }) => status)
    expect(statuses).toEqual([200, 404, 403, 403, 200, 403, 200])
    await gateway.stop()
    expect(await rowsOf(mandates.globex)).toMatchObject([{ requests: '4', denials: '2' }])
    expect(await rowsOf(mandates.acme)).toMatchObject([{ requests: '1', denials: '0' }])
    expect(await rowsOf(nowhere)).toEqual([])
  })

  it('of a process is written within two seconds, and all of it when the process is told to end', async () => {
    const gateway = startGatewayProcess({
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      DATA_DIR: await makeDataDir(),
      APP_JWT_KEY_SECRET: testSecret,
      RATE_LIMIT_ADDRESS: 'off',
    })
    const url = await gateway.url()
    const before = await totalOf(mandates.acme)
    const { token } = await tokenFor(database, 'alice')
    const askOnce = async () =>
      expect(
        (
          await sendRequest(url, '/auth/context', {
            headers: { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme },
          })
        ).status,
      ).toBe(200)
    await askOnce()
    await until(async () => (await totalOf(mandates.acme)) === before + 1 || undefined, 2000)
    for (let index = 0; index < 5; index += 1) await askOnce()
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
    expect(await totalOf(mandates.acme)).toBe(before + 6)
  })
})
