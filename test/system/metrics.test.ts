import { randomUUID } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { bearer, sendRequest } from '../support/http-client.js'
import { mandates, roles, tokenFor, users } from '../support/demo.js'
import { demoRoutes, startTestGateway, type TestGateway } from '../support/gateway.js'
import { samplesOf, valueOf } from '../support/scrape.js'
import { until } from '../support/until.js'

describe('/metrics', () => {
  let gateway: TestGateway
  let tokens: Record<'root' | 'petra' | 'alice' | 'bob' | 'erin', string>
  const scrape = async () => (await sendRequest(gateway.url, '/metrics')).text
  /** Counts are made when an answer is out, which its reader may know first. */
  const counted = (look: (text: string) => boolean) =>
    until(async () => {
      const text = await scrape()
      return look(text) ? text : undefined
    })

  beforeAll(async () => {
    gateway = await startTestGateway({ demoUpstream: true, environment: { COHERENCE_LEASE_MS: '5000' } })
    const one = async (user: keyof typeof tokens) => (await tokenFor(gateway.database, user)).token
    tokens = {
      root: await one('root'),
      petra: await one('petra'),
      alice: await one('alice'),
      bob: await one('bob'),
      erin: await one('erin'),
    }
  })
  afterAll(() => gateway.stop())

  it('counts requests by route, method, status and how they came into the mandate', async () => {
    const inAcme = (token: string, path: string, method = 'GET') =>
      sendRequest(gateway.url, path, { method, headers: { ...bearer(token), 'X-Mandate-Id': mandates.acme } })
    await inAcme(tokens.alice, '/api/crm/contacts')
    await inAcme(tokens.alice, '/api/crm/contacts')
    await inAcme(tokens.root, '/api/crm/contacts')
    await inAcme(tokens.bob, '/api/crm/contacts', 'DELETE')
    await sendRequest(gateway.url, '/healthz')
    const requests = (text: string, labels: Record<string, string>) =>
      valueOf(text, 'gateway_requests_total', labels)
    const text = await counted((now) => requests(now, { route: '/healthz' }) === 1)
    expect(requests(text, { route: '/api/crm', method: 'GET', status: '200', tier: 'member' })).toBe(2)
    expect(requests(text, { route: '/api/crm', method: 'GET', status: '200', tier: 'platform' })).toBe(1)
    expect(requests(text, { route: '/api/crm', method: 'DELETE', status: '403', tier: 'member' })).toBe(1)
    expect(
      valueOf(text, 'gateway_decisions_total', { decision: 'denied', reason: 'permission_denied' }),
    ).toBe(1)
    expect(valueOf(text, 'gateway_request_duration_seconds_count', { route: '/api/crm' })).toBe(4)
    expect(valueOf(text, 'gateway_request_duration_seconds_bucket', { route: '/api/crm', le: '+Inf' })).toBe(
      4,
    )
    expect(valueOf(text, 'gateway_request_duration_seconds_sum', { route: '/api/crm' })).toBeGreaterThan(0)
  })

  it('counts what a service refuses as granted: the decision was the gateway’s', async () => {
    await sendRequest(gateway.url, '/api/crm/no-such-thing', {
      headers: { ...bearer(tokens.alice), 'X-Mandate-Id': mandates.acme },
    })
    const text = await counted(
      (now) => valueOf(now, 'gateway_requests_total', { route: '/api/crm', status: '404' }) === 1,
    )
    expect(valueOf(text, 'gateway_decisions_total', { reason: 'not_found' })).toBeUndefined()
  })

  it('tells of memory, lease, pool, audit, upstreams, coherence and the process', async () => {
    const { jti } = await tokenFor(gateway.database, 'erin')
    expect(
      (
        await sendRequest(gateway.url, `/system/tokens/${jti}`, {
          method: 'DELETE',
          headers: bearer(tokens.root),
        })
      ).status,
    ).toBe(200)
    const text = await scrape()
    expect(valueOf(text, 'gateway_memory_hits_total')).toBeGreaterThan(0)
    expect(valueOf(text, 'gateway_memory_entries')).toBeGreaterThan(0)
    expect(valueOf(text, 'gateway_lease_remaining_seconds')).toBeGreaterThan(0)
    expect(valueOf(text, 'gateway_coherence_wait_seconds_count')).toBe(1)
    for (const name of [
      'gateway_memory_misses_total',
      'gateway_epoch_lag_changes',
      'gateway_open_streams',
      'gateway_audit_waiting',
      'gateway_audit_dropped_total',
      'gateway_usage_waiting',
      'gateway_messages_total',
      'gateway_messages_pending',
      'gateway_coherence_fenced_total',
      'gateway_pool_connections',
      'gateway_upstream_healthy',
      'gateway_upstream_circuit_open',
      'gateway_upstream_running',
      'gateway_upstream_streams',
      'nodejs_eventloop_lag_p99_seconds',
      'process_resident_memory_bytes',
      'process_cpu_seconds_total',
    ])
      expect([name, valueOf(text, name)]).toEqual([name, expect.any(Number)])
  })

  it('never holds an id, a name or a path that a client chose, however many there are', async () => {
    const before = samplesOf(await scrape()).length
    const secrets = Array.from({ length: 50 }, () => randomUUID())
    for (const secret of secrets) {
      await sendRequest(gateway.url, `/${secret}?token=${secret}`, { headers: { 'X-Request-Id': secret } })
      await sendRequest(gateway.url, `/api/crm/${secret}`, {
        headers: { ...bearer(tokens.alice), 'X-Mandate-Id': secret },
      })
      await sendRequest(gateway.url, '/auth/me', { headers: bearer(secret) })
      await sendRequest(gateway.url, `/system/tokens/${secret}`, { headers: bearer(tokens.bob) })
    }
    const text = await counted(
      (now) => (valueOf(now, 'gateway_decisions_total', { reason: 'not_a_member' }) ?? 0) >= 50,
    )
    for (const secret of [
      ...secrets,
      ...Object.values(mandates),
      ...Object.values(users),
      ...Object.values(roles),
    ])
      expect(text).not.toContain(secret)
    expect(text).not.toMatch(/alice|eyJ/)
    // some new outcomes, but not one for each of 200 requests
    expect(samplesOf(text).length - before).toBeLessThan(100)
  })

  describe('on the main port', () => {
    const statusFor = async (headers: Record<string, string>, url = gateway.url) =>
      (await sendRequest(url, '/metrics', { headers })).status

    it('is for clients on the same machine', async () => {
      expect(await statusFor({})).toBe(200)
    })

    it('takes nobody for one whom a proxy brought from elsewhere, trusted or not', async () => {
      const trusting = await startTestGateway({
        environment: { TRUST_PROXY: '1' },
        database: gateway.database,
      })
      try {
        for (const { url } of [gateway, trusting]) {
          for (const headers of [
            { 'X-Forwarded-For': '203.0.113.7' },
            { 'X-Forwarded-For': '127.0.0.1, 203.0.113.7' },
            { 'X-Forwarded-For': '203.0.113.7, 127.0.0.1' },
            { 'X-Real-IP': '203.0.113.7' },
            { Forwarded: 'for=127.0.0.1' },
            { Via: '1.1 proxy' },
            { 'X-Forwarded-For': '127.0.0.1.example.com' },
          ] as Record<string, string>[])
            expect([headers, await statusFor(headers, url)]).toEqual([headers, 403])
          expect(await statusFor({ 'X-Forwarded-For': '127.0.0.1' }, url)).toBe(200)
        }
      } finally {
        await trusting.stop()
      }
    })

    it('is else for SysAdmins alone', async () => {
      const remote = { 'X-Forwarded-For': '203.0.113.7' }
      expect(await statusFor({ ...remote, ...bearer(tokens.root) })).toBe(200)
      expect(await statusFor({ ...remote, ...bearer(tokens.petra) })).toBe(403)
      expect(await statusFor({ ...remote, ...bearer(tokens.alice) })).toBe(403)
      const refused = await sendRequest(gateway.url, '/metrics', { headers: remote })
      expect([refused.status, JSON.parse(refused.text).code]).toEqual([403, 'sysadmin_required'])
    })

    it('is refused to a client of another machine', async () => {
      const address = Object.values(networkInterfaces())
        .flat()
        .find((one) => one?.family === 'IPv4' && !one.internal)?.address
      const open = await startTestGateway({ database: gateway.database })
      try {
        if (address === undefined) return // this machine has no other address
        await new Promise<void>((resolve) => {
          open.server.close(() => resolve())
        })
        await new Promise<void>((resolve) => {
          open.server.listen(0, '0.0.0.0', resolve)
        })
        const bound = open.server.address()
        if (bound === null || typeof bound === 'string') throw new Error('it does not listen')
        expect((await sendRequest(`http://${address}:${bound.port}`, '/metrics')).status).toBe(403)
      } finally {
        await open.stop()
      }
    })

    it('is text, and may not be kept', async () => {
      const { headers } = await sendRequest(gateway.url, '/metrics')
      expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
      expect(headers['cache-control']).toBe('no-store')
    })

    it('is not there with METRICS_PORT', async () => {
      const apart = await startTestGateway({
        environment: { METRICS_PORT: '9' },
        routes: demoRoutes,
        database: gateway.database,
      })
      try {
        expect((await sendRequest(apart.url, '/metrics', { headers: bearer(tokens.root) })).status).toBe(404)
      } finally {
        await apart.stop()
      }
    })
  })
})
