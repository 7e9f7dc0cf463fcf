import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { keepRecentLines } from '../../src/observability/recent-lines.js'
import { sendRequest } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

describe('what SysAdmins see of a node', () => {
  let gateway: TestGateway
  let tokens: Record<'root' | 'petra' | 'bob', string>
  const askAs = async (
    user: keyof typeof tokens,
    path: string,
    { method = 'GET', body, id }: { method?: string; body?: unknown; id?: string } = {},
  ) => {
    const answer = await sendRequest(gateway.url, path, {
      method,
      body: body === undefined ? '' : JSON.stringify(body),
      headers: {
        Authorization: `Bearer ${tokens[user]}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(id === undefined ? {} : { 'X-Request-Id': id }),
      },
    })
    return { status: answer.status, body: JSON.parse(answer.text) }
  }

  beforeAll(async () => {
    gateway = await startTestGateway({
      routes: `
upstreams:
  crm:
    { targets: ["http://127.0.0.1:9", "http://127.0.0.1:10"],
      requestHeaders: { set: { X-Service-Key: a-secret-of-the-service } } }
routes:
  /api/crm: { upstream: crm, mandate: required, permission: { context: RESOURCE, item: crm }, timeoutMs: 5000 }
  /open: { upstream: crm, auth: public, strip: true }
  /told:
    upstream: crm
    host: [crm.example.com, '*.crm.example.com']
    strip: true
    preserveHost: true
    mandate: required
    instance: optional
    mandateFrom: [header, query]
    guard: platformAdmin
    permission: { context: RESOURCE, item: crm }
    rateLimit: { limit: 100/60s, by: mandate }
    concurrency: 20
    timeoutMs: 5000
    bodyLimit: 1000
    tell: [user, roles]
    addresses: [10.0.0.0/8]
    requestHeaders: { set: { X-Mode: live }, remove: [X-Old] }
    responseHeaders: { remove: [Server] }
    exposeHeaders: [X-Total]
`,
    })
    const one = async (user: keyof typeof tokens) => (await tokenFor(gateway.database, user)).token
    tokens = { root: await one('root'), petra: await one('petra'), bob: await one('bob') }
  })
  afterAll(() => gateway.stop())

  it.each(['/system/logs', '/system/database', '/system/routes'])(
    '%s is for SysAdmins alone',
    async (path) => {
      expect((await askAs('petra', path)).status).toBe(403)
      expect((await askAs('bob', path)).status).toBe(403)
      expect((await sendRequest(gateway.url, path)).status).toBe(401)
      expect((await askAs('root', path)).status).toBe(200)
    },
  )

  describe('/system/logs', () => {
    const linesOf = async (query: string) =>
      (await askAs('root', `/system/logs?${query}`)).body.items as {
        level: string
        message: string
        fields: Record<string, unknown>
      }[]

    it('tells what became of a request, and why it was refused', async () => {
      await sendRequest(gateway.url, '/api/crm/contacts', {
        method: 'DELETE',
        headers: {
          Authorization: `Bearer ${tokens.bob}`,
          'X-Mandate-Id': mandates.acme,
          'X-Request-Id': 'looked-for',
        },
      })
      const [line] = await until(async () => {
        const found = await linesOf('requestId=looked-for')
        return found.length > 0 ? found : undefined
      })
      expect(line).toMatchObject({
        level: 'info',
        message: 'request',
        fields: {
          route: '/api/crm',
          method: 'DELETE',
          status: 403,
          granted: false,
          reason: 'permission_denied',
          mandate: mandates.acme,
        },
      })
    })

    it('finds lines by text and by level, newest first, and never more than it was asked for', async () => {
      await sendRequest(gateway.url, '/open/x', { headers: { 'X-Request-Id': 'older' } })
      await sendRequest(gateway.url, '/open/x', { headers: { 'X-Request-Id': 'newer' } })
      const found = await until(async () => {
        const lines = await linesOf('level=error&text=REQUEST%20FAILED')
        return lines.length >= 2 ? lines : undefined
      })
      expect(found.map(({ fields }) => fields.requestId).slice(0, 2)).toEqual(['newer', 'older'])
      expect(new Set(found.map(({ level }) => level))).toEqual(new Set(['error']))
      expect(await linesOf('limit=1')).toHaveLength(1)
    })

    it('refuses what it does not understand', async () => {
      for (const query of ['level=loud', 'limit=0', 'limit=x'])
        expect((await askAs('root', `/system/logs?${query}`)).status).toBe(400)
      expect((await askAs('root', '/system/logs', { method: 'PUT', body: { level: 'loud' } })).status).toBe(
        400,
      )
    })

    it('changes how much is written, at once, and for SysAdmins alone', async () => {
      expect((await askAs('petra', '/system/logs', { method: 'PUT', body: { level: 'error' } })).status).toBe(
        403,
      )
      expect(await askAs('root', '/system/logs', { method: 'PUT', body: { level: 'error' } })).toEqual({
        status: 200,
        body: { level: 'error' },
      })
      await sendRequest(gateway.url, '/nowhere', { headers: { 'X-Request-Id': 'unwritten' } })
      expect((await askAs('root', '/system/logs')).body.level).toBe('error')
      await askAs('root', '/system/logs', { method: 'PUT', body: { level: 'info' } })
      await sendRequest(gateway.url, '/nowhere', { headers: { 'X-Request-Id': 'written' } })
      await until(async () => (await linesOf('requestId=written')).length > 0 || undefined)
      expect(await linesOf('requestId=unwritten')).toEqual([])
      expect(gateway.logLines.some((line) => line.includes('unwritten'))).toBe(false)
    })
  })

  it('/system/database tells of health, sizes, migrations and connections', async () => {
    const { body } = await askAs('root', '/system/database')
    expect(body).toMatchObject({
      healthy: true,
      version: expect.stringMatching(/^1[4-8]/),
      connections: { open: expect.any(Number), most: expect.any(Number) },
      pendingChanges: expect.any(Number),
    })
    expect(body.bytes).toBeGreaterThan(1_000_000)
    expect(body.tables.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['users', 'audit_events', 'coherence.changes', 'usage_daily']),
    )
    expect(body.migrations.length).toBeGreaterThan(3)
    expect(body.migrations.every(({ appliedAt }: { appliedAt: string | null }) => appliedAt !== null)).toBe(
      true,
    )
  })

  it('/system/routes tells all that the file says of a route, and of header rules the names alone', async () => {
    const { body } = await askAs('root', '/system/routes')
    const { targets: _targets, ...told } = body.items[2]
    expect(told).toEqual({
      assurance: null,
      prefix: '/told',
      name: 'crm.example.com,*.crm.example.com/told',
      upstream: 'crm',
      host: ['crm.example.com', '*.crm.example.com'],
      strip: true,
      rewrite: null,
      preserveHost: true,
      auth: 'required',
      credentials: 'strip',
      decide: 'enforce',
      mandate: 'required',
      instance: 'optional',
      mandateFrom: ['header', 'query'],
      guard: 'platformAdmin',
      permission: { context: 'RESOURCE', item: 'crm' },
      rateLimit: { requests: 100, windowMs: 60_000, by: 'mandate' },
      concurrency: { limit: 20, by: 'route' },
      timeoutMs: 5000,
      bodyLimit: 1000,
      tell: ['user', 'roles'],
      addresses: ['10.0.0.0/8'],
      requestHeaders: { set: ['X-Service-Key', 'X-Mode'], removed: ['x-old'] },
      responseHeaders: { set: [], removed: ['server'] },
      exposeHeaders: ['X-Total'],
      title: null,
    })
    expect(JSON.stringify(body)).not.toContain('a-secret-of-the-service')
  })

  it('/system/routes tells of the table in force and how each target is', async () => {
    const { body } = await askAs('root', '/system/routes')
    expect(body.items.map(({ prefix }: { prefix: string }) => prefix)).toEqual(['/api/crm', '/open', '/told'])
    expect(body.items[0]).toMatchObject({
      upstream: 'crm',
      auth: 'required',
      mandate: 'required',
      permission: { context: 'RESOURCE', item: 'crm' },
      timeoutMs: 5000,
    })
    for (let index = 0; index < 25; index += 1) await sendRequest(gateway.url, '/open/x', { method: 'POST' })
    const { body: after } = await askAs('root', '/system/routes')
    expect(after.items[1].targets).toEqual([
      { address: '127.0.0.1:9', healthy: true, state: 'open', running: 0, streams: 0 },
      { address: '127.0.0.1:10', healthy: true, state: 'open', running: 0, streams: 0 },
    ])
  })
})

describe('recent lines', () => {
  it('are as many as there is place for, the newest ones', () => {
    const recent = keepRecentLines(3)
    for (const message of ['1', '2', '3', '4', '5'])
      recent.add({ timestamp: '', level: 'info', message, fields: {} })
    expect(recent.find({ limit: 10 }).map(({ message }) => message)).toEqual(['5', '4', '3'])
  })
})
