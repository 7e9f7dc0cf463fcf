import { afterEach, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { testSecret } from '../support/gateway.js'
import { valueOf } from '../support/scrape.js'
import { until } from '../support/until.js'

let database: TestDatabase | undefined
afterEach(async () => {
  await cleanUpProcesses()
  await database?.drop()
})

async function startOne(environment: Record<string, string>) {
  database = await createTestDatabase()
  return startGatewayProcess({
    DATABASE_URL: database.url,
    DATABASE_MIGRATION_URL: database.ownerUrl,
    DATA_DIR: await makeDataDir(),
    APP_JWT_KEY_SECRET: testSecret,
    RATE_LIMIT_ADDRESS: 'off',
    ...environment,
  })
}

/** Asks on a connection of its own, so that it goes to the worker whose turn it is. */
async function askOften(url: string, times: number): Promise<void> {
  for (let round = 0; round < times; round += 1) expect((await sendRequest(url, '/healthz')).status).toBe(200)
}

describe('METRICS_PORT', () => {
  it('serves /metrics and nothing else, and the main port does not', async () => {
    const gateway = await startOne({ METRICS_PORT: '0' })
    const port = (await gateway.says(/"message":"metrics are served","port":(\d+)/))[1] ?? ''
    const url = await gateway.url()
    const metrics = `http://127.0.0.1:${port}`
    await askOften(url, 3)
    await until(
      async () =>
        valueOf((await sendRequest(metrics, '/metrics')).text, 'gateway_requests_total', {
          route: '/healthz',
        }) === 3 || undefined,
      15_000,
    )
    for (const [path, method] of [
      ['/', 'GET'],
      ['/healthz', 'GET'],
      ['/metrics', 'POST'],
      ['/auth/me', 'GET'],
    ] as const)
      expect((await sendRequest(metrics, path, { method })).status).toBe(404)
    expect((await sendRequest(url, '/metrics')).status).toBe(404)
    gateway.child.kill('SIGTERM')
    expect(await gateway.ended).toBe(0)
  }, 60_000)

  it('adds up what all workers count, on either port', async () => {
    const gateway = await startOne({ GATEWAY_WORKERS: '2', METRICS_PORT: '0' })
    const port = (await gateway.says(/"message":"metrics are served","port":(\d+)/))[1] ?? ''
    const url = await gateway.url()
    await gateway.says(/"message":"listening".*"message":"listening"/s)
    await askOften(url, 10)
    const text = await until(async () => {
      const now = (await sendRequest(`http://127.0.0.1:${port}`, '/metrics')).text
      return valueOf(now, 'gateway_requests_total', { route: '/healthz' }) === 10 ? now : undefined
    }, 15_000)
    expect(valueOf(text, 'gateway_request_duration_seconds_count', { route: '/healthz' })).toBe(10)
    // of the worst worker, not of all together
    expect(valueOf(text, 'gateway_lease_remaining_seconds')).toBeLessThanOrEqual(5)
  }, 60_000)

  it('without it each worker answers for all', async () => {
    const gateway = await startOne({ GATEWAY_WORKERS: '2' })
    const url = await gateway.url()
    await gateway.says(/"message":"listening".*"message":"listening"/s)
    await askOften(url, 10)
    for (let round = 0; round < 4; round += 1) {
      await until(
        async () =>
          valueOf((await sendRequest(url, '/metrics')).text, 'gateway_requests_total', {
            route: '/healthz',
          }) === 10 || undefined,
        15_000,
      )
    }
  }, 60_000)
})
