import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { explainRoute } from '../../src/proxy/explain-route.js'
import { parseRouteTable, type RouteTable } from '../../src/proxy/route-table.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const routesTo = (url: string) => `
upstreams:
  own: { targets: ['${url}'] }
  slow:
    { targets: ['${url}', demo],
      timeouts: { connectMs: 1, headersMs: 2, bodyMs: 3, idleMs: 300000, keepAliveMs: 4000 } }
routes:
  /api: { upstream: own, auth: public }
  /api/crm: { upstream: own, auth: public, strip: true }
  /api/crm/old: { upstream: own, auth: public, rewrite: /new }
  /contacts:
    { upstream: slow, mandate: required, instance: optional,
      permission: { context: RESOURCE, item: crm.contacts }, rateLimit: 100/60s, timeoutMs: 50, bodyLimit: 9 }
  /ops: { upstream: slow, guard: sysAdmin }
  /portal/files: { upstream: own, auth: portal }
`

describe('the explanation of a request', () => {
  const table = parseRouteTable(routesTo('http://127.0.0.1:9000'), 'routes.yaml')

  it('tells all of a route that was written out', () => {
    expect(explainRoute(table, 'GET', '/contacts/7?x=1')).toEqual({
      method: 'GET',
      target: '/contacts/7?x=1',
      outcome: 'matched',
      path: '/contacts/7',
      route: '/contacts',
      upstream: 'slow',
      targets: ['http://127.0.0.1:9000', 'demo'],
      sent: '/contacts/7?x=1',
      auth: 'required',
      credentials: 'strip',
      decide: 'enforce',
      mandate: 'required',
      instance: 'optional',
      guard: null,
      permission: { context: 'RESOURCE', item: 'crm.contacts', action: 'read' },
      rateLimit: { limit: { requests: 100, windowMs: 60_000 }, by: 'user' },
      concurrency: null,
      mandateFrom: ['header'],
      bodyLimit: 9,
      timeouts: {
        connectMs: 1,
        headersMs: 50,
        bodyMs: 50,
        idleMs: 300_000,
        keepAliveMs: 4000,
        connectionMs: 60_000,
      },
    })
  })

  it('tells the defaults of a route that leaves them', () => {
    expect(explainRoute(table, 'GET', '/ops')).toMatchObject({
      auth: 'required',
      mandate: 'none',
      instance: 'none',
      guard: 'sysAdmin',
      permission: null,
      rateLimit: null,
      concurrency: null,
      mandateFrom: ['header'],
      bodyLimit: null,
      timeouts: {
        connectMs: 1,
        headersMs: 2,
        bodyMs: 3,
        idleMs: 300_000,
        keepAliveMs: 4000,
        connectionMs: 60_000,
      },
    })
    expect(explainRoute(table, 'GET', '/api')).toMatchObject({
      guard: null,
      timeouts: { connectMs: 2000, headersMs: 30_000, bodyMs: 60_000 },
    })
  })

  it('gives a portal route its paths, and all others below /portal to the gateway', () => {
    expect(explainRoute(table, 'GET', '/portal/files/1')).toMatchObject({
      outcome: 'matched',
      auth: 'portal',
    })
    expect(explainRoute(table, 'GET', '/portal/filesystem')).toEqual({
      method: 'GET',
      target: '/portal/filesystem',
      outcome: 'own',
      path: '/portal/filesystem',
    })
  })
})

describe('an explanation equals what the gateway does', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let table: RouteTable
  let token: string
  beforeAll(async () => {
    upstream = await startUpstream()
    const routes = routesTo(upstream.url)
    table = parseRouteTable(routes, 'routes.yaml')
    gateway = await startTestGateway({ routes })
    token = (await tokenFor(gateway.database, 'root')).token
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it.each([
    '/api',
    '/api/',
    '/api?x=1',
    '/api/crm',
    '/api/crm/',
    '/api/crm?',
    '/api/crm/a/b?x=%2f..',
    '/api/crmx',
    '/API/crm',
    '/api/crm/old',
    '/api/crm/old/a?b',
    '/api/crm/older',
    '/%61pi/cr%6d/x',
    '/api/%e9',
    '/api/%C3%a9',
    '/api/a%20b',
    '/api/a;b=c',
    '/api/crm;x/y',
    '/api;x/crm',
    '/api/crm/old;x',
    '/nowhere',
    '/',
    '/apix',
    '/auth',
    '/auth/nothing',
    '/authx',
    '/healthz',
    '/healthz/',
    '/.well-known/x',
    '/portal/x',
    '/api//crm',
    '/api/../auth',
    '/api/.',
    '/api/..;/x',
    '/api/%2e%2e/x',
    '/api%2fcrm',
    '/api/%5c',
    '/api\\crm',
    '/api/%00',
    '/api/%zz',
    '/api/%',
    '/api/%252e%252e/x',
    '/api/%252f',
    '/api#x',
    '/api?x#y',
    'http://other/api',
    '*',
  ])('for GET %s', async (target) => {
    const before = upstream.received.length
    const answer = await sendLines(gateway.url, `GET ${target}`)
    const explanation = explainRoute(table, 'GET', target)
    const forwarded = upstream.received.length > before
    expect([explanation.outcome, forwarded]).toEqual([explanation.outcome, explanation.outcome === 'matched'])
    if (explanation.outcome === 'matched') expect(upstream.last().url).toBe(explanation.sent)
    else if (explanation.outcome === 'refused')
      expect([answer.status, codeOf(answer)]).toEqual([explanation.status, explanation.code])
    else if (explanation.outcome === 'not_found')
      expect([answer.status, codeOf(answer)]).toEqual([404, 'not_found'])
  })

  it('for each method of a route with a permission, except those without an action, also for a SysAdmin', async () => {
    const actions: Record<string, string | null> = {
      GET: 'read',
      HEAD: 'read',
      OPTIONS: 'read',
      POST: 'create',
      PUT: 'update',
      PATCH: 'update',
      DELETE: 'delete',
      PROPFIND: null,
      PURGE: null,
    }
    for (const [method, action] of Object.entries(actions)) {
      const answer = await sendLines(gateway.url, `${method} /contacts`, [
        `Authorization: Bearer ${token}`,
        `X-Mandate-Id: ${mandates.acme}`,
      ])
      const explanation = explainRoute(table, method, '/contacts')
      expect(explanation).toMatchObject({
        outcome: 'matched',
        permission: { action },
        sent: action === null ? null : '/contacts',
      })
      expect([method, answer.status === 403]).toEqual([method, action === null])
    }
  })
})
