import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startNginx } from '../support/nginx.js'
import { cookieOf, demoPortal, enter } from '../support/portal.js'
import type { Proxy } from '../support/proxy-process.js'
import { sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('nginx that shows nothing but the portal', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let proxy: Proxy
  let logs: string
  let alice: string
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { TRUST_PROXY: '1' },
      routes:
        `{ upstreams: { own: { targets: ['${upstream.url}'] } }, routes: { /portal/documents: { ` +
        'upstream: own, auth: portal }, /open: { upstream: own, auth: public } } }',
    })
    logs = await mkdtemp(path.join(tmpdir(), 'portal-logs-'))
    proxy = await startNginx('portal.conf', {
      nodes: [gateway.url],
      replacements: { '/var/log/nginx': logs },
    })
    alice = (await tokenFor(gateway.database, 'alice')).token
  })
  afterAll(async () => {
    await proxy.stop()
    await gateway.stop()
    await upstream.stop()
    await rm(logs, { recursive: true, force: true })
  })

  const operator = () => ({ Cookie: `auth_token=${alice}`, 'X-Mandate-Id': mandates.acme })

  it('the portal can be entered, looked through and left', async () => {
    expect((await sendRequest(proxy.url, `/portal/enter?token=${demoPortal.token}`)).status).toBe(200)
    const entered = await enter(proxy.url, demoPortal.token)
    expect([entered.status, entered.headers.location]).toEqual([303, '/portal'])
    const headers = { Cookie: `portal_session=${cookieOf(entered).value}` }
    for (const [where, text] of [
      ['/portal', 'Spring campaign'],
      [`/portal?project=${demoPortal.campaign}`, '<h1>Spring campaign</h1>'],
      ['/portal/api/me', 'Northwind'],
      [`/portal/api/projects/${demoPortal.campaign}`, 'Spring campaign'],
    ] as const) {
      const answer = await sendRequest(proxy.url, where, { headers })
      expect([where, answer.status]).toEqual([where, 200])
      expect(answer.text).toContain(text)
    }
    expect((await sendRequest(proxy.url, '/portal/documents/a?b=c', { headers })).status).toBe(200)
    expect(upstream.last()).toMatchObject({
      url: '/portal/documents/a?b=c',
      headers: { 'x-portal-client-id': demoPortal.northwind },
    })
    expect(
      (await sendRequest(proxy.url, '/portal/logout', { method: 'POST', headers })).headers.location,
    ).toBe('/portal/logout')
    expect((await sendRequest(proxy.url, '/portal')).text).toContain('Access required')
  })

  it.each([
    `/projects/${demoPortal.relaunch}/portal-preview`,
    `/portal/%2e%2e/projects/${demoPortal.relaunch}/portal-preview`,
    `/portal/../projects/${demoPortal.relaunch}/portal-preview`,
    `/portal/..;/projects/${demoPortal.relaunch}/portal-preview`,
    `/portal%2f..%2fprojects/${demoPortal.relaunch}/portal-preview`,
    `//projects/${demoPortal.relaunch}/portal-preview`,
    `/portal/..%5cprojects/${demoPortal.relaunch}/portal-preview`,
    '/mandate/projects',
    '/auth/me',
    '/auth/verify',
    '/auth/verify/portal/documents',
    '/healthz',
    '/metrics',
    '/',
    '/open/x',
    '/portalx',
    '/PORTAL/api/me',
    '/console',
    '/.well-known/jwks.json',
  ])('%s cannot be reached', async (target) => {
    const clients = () => gateway.database.sql('select count(*) from portal_access_tokens')
    const [before, received] = [await clients(), upstream.received.length]
    const answer = await sendLines(
      proxy.url,
      `GET ${target}`,
      Object.entries(operator()).map(([name, value]) => `${name}: ${value}`),
    )
    expect([400, 404]).toContain(answer.status)
    expect(answer.headers).not.toHaveProperty('set-cookie')
    expect([await clients(), upstream.received.length]).toEqual([before, received])
  })

  it('the preview is there for those who are not behind it', async () => {
    expect(
      (
        await sendRequest(gateway.url, `/projects/${demoPortal.relaunch}/portal-preview`, {
          headers: operator(),
        })
      ).status,
    ).toBe(303)
  })

  it('no log holds the token of a link', async () => {
    await sendRequest(proxy.url, `/portal/enter?token=${demoPortal.token}`)
    const written = (
      await Promise.all(
        ['portal.log', 'portal-error.log'].map((file) => readFile(path.join(logs, file), 'utf8')),
      )
    ).join('')
    expect(written).toContain('"GET /portal/enter" 200')
    expect(`${written}${proxy.output()}${gateway.logLines.join('')}`).not.toContain(demoPortal.token)
  })
})
