import { createPublicKey, verify } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest, type HttpResponse } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { demoPortal, insertClientWithLink, sessionOf } from '../support/portal.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('a route with auth: portal', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { TRUST_PROXY: '1', COHERENCE_LEASE_MS: '5000' },
      routes: `
upstreams: { documents: { targets: ['${upstream.url}'] } }
routes:
  /portal/documents: { upstream: documents, auth: portal }
  /downloads: { upstream: documents, auth: portal, rateLimit: { limit: 3/60s, by: user } }
  /users: { upstream: documents }
`,
    })
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  const session = sessionOf(demoPortal.link)
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    sendRequest(gateway.url, path, { method, headers })
  const claimsOf = (token: unknown) =>
    JSON.parse(Buffer.from(String(token).split('.')[1]!, 'base64url').toString()) as Record<string, unknown>

  it('forwards with the client’s id and identity, and nothing of a user', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const answer = await get('/portal/documents/a.pdf?x=1', {
      Cookie: `${session.Cookie}; auth_token=${token}; theme=dark`,
      Authorization: `Bearer ${token}`,
      'X-Mandate-Id': mandates.acme,
      'X-Portal-Client-Id': 'forged',
      X_Portal_Client_Id: 'forged',
      'X-User-Id': 'forged',
      'X-Gateway-Identity': 'forged',
    })
    expect(answer.status).toBe(200)
    expect(answer.headers['cache-control']).toBe('no-store')
    const { url, headers, rawHeaders } = upstream.last()
    expect(url).toBe('/portal/documents/a.pdf?x=1')
    expect(headers['x-portal-client-id']).toBe(demoPortal.northwind)
    for (const name of [
      'x-user-id',
      'x-username',
      'x-authority',
      'x-session-id',
      'x-mandate-id',
      'x-instance-id',
      'x-role-ids',
      'x-access-level',
      'authorization',
    ])
      expect(headers).not.toHaveProperty(name)
    expect(headers.cookie).toBe('theme=dark')
    expect(rawHeaders.join('\n')).not.toContain('forged')
    expect(claimsOf(headers['x-gateway-identity'])).toEqual({
      iss: 'mandate-gateway',
      aud: 'documents',
      sub: demoPortal.northwind,
      portalClientId: demoPortal.northwind,
      mandateId: mandates.acme,
      iat: expect.any(Number),
      exp: expect.any(Number),
    })
    const [head = '', body = '', signature = ''] = String(headers['x-gateway-identity']).split('.')
    const { kid } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }
    const { keys } = JSON.parse((await get('/.well-known/jwks.json')).text) as { keys: { kid: string }[] }
    const key = createPublicKey({ key: keys.find((one) => one.kid === kid)!, format: 'jwk' })
    expect(verify(null, Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))).toBe(true)
  })

  it('tells a preview from a client, and one client from another', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const answer = await get(`/projects/${demoPortal.campaign}/portal-preview`, {
      Authorization: `Bearer ${token}`,
    })
    await get('/portal/documents', { Cookie: answer.headers['set-cookie']![0]!.split(';')[0]! })
    expect(claimsOf(upstream.last().headers['x-gateway-identity'])).toMatchObject({
      portalClientId: demoPortal.northwind,
      preview: true,
    })
    const other = await insertClientWithLink(gateway.database, mandates.globex)
    await get('/portal/documents', sessionOf(other.link))
    expect(claimsOf(upstream.last().headers['x-gateway-identity'])).toMatchObject({
      sub: other.client,
      portalClientId: other.client,
      mandateId: mandates.globex,
    })
  })

  it('signs one identity for the requests that say the same', async () => {
    await get('/portal/documents', session)
    const first = upstream.last().headers['x-gateway-identity']
    await get('/portal/documents/other', session)
    expect(upstream.last().headers['x-gateway-identity']).toBe(first)
  })

  it('needs a session of the portal; an access token is none', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const before = upstream.received.length
    for (const headers of [
      {},
      { Cookie: `auth_token=${token}` },
      { Authorization: `Bearer ${token}` },
      { Cookie: 'portal_session=x' },
    ]) {
      const answer = await get('/portal/documents', headers)
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([401, 'portal_access_required'])
      expect(answer.headers).not.toHaveProperty('www-authenticate')
    }
    expect(upstream.received).toHaveLength(before)
    expect((await get('/users', session)).status).toBe(401)
  })

  it.each<[string, Record<string, string>, 'page' | 'problem']>([
    ['a navigation', { Accept: 'text/html,application/xhtml+xml', 'Sec-Fetch-Mode': 'navigate' }, 'page'],
    ['a navigation of a browser that says less', { Accept: 'text/html,*/*' }, 'page'],
    ['a script', { Accept: '*/*', 'Sec-Fetch-Mode': 'cors' }, 'problem'],
    ['a script that asks for HTML', { Accept: 'text/html', 'Sec-Fetch-Mode': 'cors' }, 'problem'],
    ['an image', { Accept: 'image/png,*/*', 'Sec-Fetch-Mode': 'no-cors' }, 'problem'],
    ['a program', {}, 'problem'],
  ])('refuses %s with a %s', async (_what, headers, form) => {
    for (const path of ['/portal/documents', '/downloads/x']) {
      const answer = await get(path, headers)
      expect([answer.status, answer.headers['content-type']]).toEqual([
        401,
        form === 'page' ? 'text/html; charset=utf-8' : 'application/problem+json; charset=utf-8',
      ])
      if (form === 'page') {
        expect(answer.text).toBe((await get('/portal')).text)
        expect(answer.headers['content-security-policy']).toContain("default-src 'none'")
      }
    }
  })

  it('is told of another site’s page, whatever else came with it', async () => {
    const elsewhere = { ...session, 'Sec-Fetch-Site': 'cross-site' }
    const codeOf = (answer: HttpResponse) => (JSON.parse(answer.text) as { code?: string }).code
    expect(codeOf(await get('/portal/documents', elsewhere, 'POST'))).toBe('cross_site_request')
    expect(codeOf(await get('/portal/documents', { ...elsewhere, Authorization: 'Bearer x' }, 'POST'))).toBe(
      'cross_site_request',
    )
    expect((await get('/portal/documents', elsewhere)).status).toBe(200)
  })

  it('counts each client for itself', async () => {
    const other = await insertClientWithLink(gateway.database, mandates.acme)
    const statuses: number[] = []
    for (let call = 0; call < 4; call += 1) statuses.push((await get('/downloads/x', session)).status)
    expect(statuses).toEqual([200, 200, 200, 429])
    expect((await get('/downloads/x', sessionOf(other.link))).status).toBe(200)
  })

  it('is decided for other proxies, too', async () => {
    const about = (headers: Record<string, string>) =>
      get('/auth/verify', { 'X-Original-URI': '/portal/documents/x', 'X-Original-Method': 'GET', ...headers })
    const good = await about(session)
    expect([good.status, good.headers['x-portal-client-id']]).toEqual([200, demoPortal.northwind])
    expect(good.headers).not.toHaveProperty('x-user-id')
    expect(claimsOf(good.headers['x-gateway-identity'])).toMatchObject({
      portalClientId: demoPortal.northwind,
    })
    const bad = await about({ Accept: 'text/html' })
    expect([bad.status, bad.headers['content-type']]).toEqual([
      401,
      'application/problem+json; charset=utf-8',
    ])
  })

  it('has the client’s mandate in its access line, and no token', async () => {
    await get('/portal/documents/logged', session)
    const line = gateway.logLines
      .filter((one) => one.includes('"message":"request"'))
      .map((one) => JSON.parse(one) as Record<string, unknown>)
      .findLast(({ route }) => route === '/portal/documents')
    expect(line).toMatchObject({ mandate: mandates.acme, granted: true })
    expect(gateway.logLines.join('\n')).not.toContain(session.Cookie.split('=')[1]!)
  })
})
