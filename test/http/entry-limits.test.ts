import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { loadConfig } from '../../src/config.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'

describe('endpoints without authentication', () => {
  let database: TestDatabase
  let gateway: TestGateway | undefined
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterEach(async () => {
    await gateway?.stop()
    gateway = undefined
  })
  afterAll(() => database.drop())

  const begin = async (environment: Record<string, string>) => {
    gateway = await startTestGateway({ database, environment: { TRUST_PROXY: '1', ...environment } })
    const { url } = gateway
    return (line: string, from = '203.0.113.1') => sendLines(url, line, [`X-Forwarded-For: ${from}`])
  }

  it.each([
    ['first access', 'GET /auth/first-access/none', 404],
    ['setup', 'GET /auth/setup/none', 404],
    ['portal entry', 'GET /portal/enter?token=none', 200],
    ['discovery', 'GET /.well-known/jwks.json', 200],
  ])('have a limit of their own by address: %s', async (_, line, served) => {
    const ask = await begin({ RATE_LIMIT_ENTRY: '2/60s' })
    expect([(await ask(line)).status, (await ask(line)).status]).toEqual([served, served])
    const refused = await ask(line)
    expect(refused.status).toBe(429)
    expect(Number(refused.headers['retry-after']?.[0])).toBeGreaterThanOrEqual(1)
    expect(Number(refused.headers['retry-after']?.[0])).toBeLessThanOrEqual(60)
    expect((await ask(line, '203.0.113.2')).status).toBe(served)
  })

  it('are refused as everywhere: problem+json, Retry-After and the RateLimit headers of draft 8', async () => {
    const ask = await begin({ RATE_LIMIT_ENTRY: '1/60s' })
    await ask('GET /.well-known/jwks.json')
    const refused = await ask('GET /.well-known/jwks.json')
    expect([refused.status, codeOf(refused), refused.headers['content-type']?.join()]).toEqual([
      429,
      'rate_limited',
      expect.stringContaining('application/problem+json'),
    ])
    expect(refused.headers['ratelimit-policy']?.join()).toBe('"discovery";q=1;w=60')
    expect(refused.headers.ratelimit?.join()).toMatch(/^"discovery";r=0;t=\d+$/)
  })

  it('are limited group by group: a client that reads keys often can still set a first password', async () => {
    const ask = await begin({ RATE_LIMIT_ENTRY: '1/60s' })
    await ask('GET /.well-known/jwks.json')
    expect((await ask('GET /.well-known/jwks.json')).status).toBe(429)
    expect((await ask('GET /auth/first-access/none')).status).toBe(404)
    expect((await ask('GET /healthz')).status).toBe(200)
  })

  it('have a quarter of RATE_LIMIT_ADDRESS, none if that is off, or RATE_LIMIT_ENTRY', () => {
    const limitOf = (environment: Record<string, string>) => loadConfig(environment).RATE_LIMIT_ENTRY
    expect(limitOf({})).toEqual({ requests: 300, windowMs: 60_000 })
    expect(limitOf({ RATE_LIMIT_ADDRESS: 'off' })).toBeUndefined()
    expect(limitOf({ RATE_LIMIT_ENTRY: '7/10s' })).toEqual({ requests: 7, windowMs: 10_000 })
    expect(limitOf({ RATE_LIMIT_ENTRY: 'off' })).toBeUndefined()
  })
})
