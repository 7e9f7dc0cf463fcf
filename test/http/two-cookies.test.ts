import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, type RawResponse } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const browser = [
  'Accept: text/html,application/xhtml+xml,*/*;q=0.8',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-Site: same-origin',
]
const foreign = 'from-another-application'

describe('a second auth_token cookie, set by another application of the parent domain', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { TRUST_PROXY: '1' },
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /public: { upstream: own, auth: public }
  /private: { upstream: own }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  const send = (line: string, lines: string[], body = '') =>
    sendLines(gateway.url, line, ['X-Forwarded-Host: gw.eu.example.com', ...lines], body)
  const cookiesOf = (answer: RawResponse) => answer.headers['set-cookie'] ?? []
  const meWith = async (token: string) => (await send('GET /auth/me', [`Cookie: auth_token=${token}`])).status

  /** Every place where a cookie of this name can have been set for this host. */
  function expectExpiredEverywhere(answer: RawResponse, name: string) {
    const expired = cookiesOf(answer).filter(
      (line) => line.startsWith(`${name}=;`) && line.includes('Max-Age=0'),
    )
    for (const path of ['/', '/auth']) {
      for (const domain of [
        '',
        '; Domain=gw.eu.example.com',
        '; Domain=eu.example.com',
        '; Domain=example.com',
      ]) {
        expect(expired.map((line) => line.replace(/; Max-Age.*$/, ''))).toContain(
          `${name}=; Path=${path}${domain}`,
        )
      }
    }
    expect(expired.join()).not.toContain('Domain=com')
  }

  it('blocks no health, public routes or pages', async () => {
    const two = `Cookie: auth_token=a.b.c; auth_token=${foreign}`
    for (const line of [
      'GET /healthz',
      'GET /readyz',
      'GET /public/x',
      'GET /openapi.yaml',
      'GET /console',
      'GET /portal/logout',
    ]) {
      expect([line, (await send(line, [two])).status]).toEqual([line, 200])
    }
    expect((await send('GET /auth/me', [two])).status).toBe(400)
    expect((await send('GET /private/x', [two])).status).toBe(400)
  })

  it('logout ends the session of each that verifies, and the browser forgets all of them', async () => {
    const tokens = await Promise.all(
      ['alice', 'bob', 'alice'].map((user) => tokenFor(gateway.database, user as 'alice' | 'bob')),
    )
    const cookie = `Cookie: auth_token=${foreign}; ${tokens.map(({ token }) => `auth_token=${token}`).join('; ')}`
    const answer = await send('POST /auth/logout', [cookie])
    expect([answer.status, answer.headers['clear-site-data']]).toEqual([204, ['"cookies"']])
    expectExpiredEverywhere(answer, 'auth_token')
    for (const { token } of tokens) expect(await meWith(token)).toBe(401)
  })

  it('logout ends eight sessions at most', async () => {
    const tokens = await Promise.all(Array.from({ length: 10 }, () => tokenFor(gateway.database, 'alice')))
    await send('POST /auth/logout', [
      `Cookie: ${tokens.map(({ token }) => `auth_token=${token}`).join('; ')}`,
    ])
    const left = await Promise.all(tokens.map(({ token }) => meWith(token)))
    expect(left).toEqual([401, 401, 401, 401, 401, 401, 401, 401, 200, 200])
  })

  it('logout without a second cookie clears no other data and no parent domain', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const answer = await send('POST /auth/logout', [`Cookie: auth_token=${token}`])
    expect(answer.headers).not.toHaveProperty('clear-site-data')
    expect(cookiesOf(answer).join()).not.toContain('Domain=')
  })

  it('login forgets the others, then sets its own', async () => {
    const body = JSON.stringify({ username: 'alice', password: 'demo-password-1' })
    const answer = await send(
      'POST /auth/login',
      [
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        `Cookie: auth_token=x; refresh_token=y; auth_token=${foreign}; refresh_token=${foreign}`,
      ],
      body,
    )
    expect(answer.status).toBe(200)
    for (const name of ['auth_token', 'refresh_token']) {
      expectExpiredEverywhere(answer, name)
      expect(
        cookiesOf(answer)
          .filter((line) => line.startsWith(`${name}=`))
          .at(-1),
      ).toMatch(/=[\w.-]{20,}; Max-Age=[1-9]/)
    }
  })

  it('a navigation is shown a page whose button signs out, and the form leads to the sign-in page', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const cookie = `Cookie: auth_token=${token}; auth_token=${foreign}`
    const page = await send('GET /private/x', [...browser, cookie])
    expect([page.status, page.headers['content-type']]).toEqual([400, ['text/html; charset=utf-8']])
    expect(page.body).toContain('<form method="post" action="/auth/logout">')
    expect(page.headers).not.toHaveProperty('set-cookie')
    const answer = await send('POST /auth/logout', [
      ...browser,
      'Content-Type: application/x-www-form-urlencoded',
      'Content-Length: 0',
      cookie,
    ])
    expect([answer.status, answer.headers.location, answer.headers['clear-site-data']]).toEqual([
      303,
      ['/console'],
      ['"cookies"'],
    ])
    expect(await meWith(token)).toBe(401)
  })

  it('names no domain for an address or a host without a dot', async () => {
    for (const host of ['127.0.0.1:8080', '[::1]:8080', 'localhost']) {
      const answer = await send('POST /auth/logout', [
        `X-Forwarded-Host: ${host}`,
        `Cookie: auth_token=a; auth_token=b`,
      ])
      expect(cookiesOf(answer).join()).not.toContain('Domain=')
    }
  })
})

describe('a second cookie of another name', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const withBody = (body: string) => [
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${body.length}`,
  ]
  const cookiesOf = (answer: RawResponse) => (answer.headers['set-cookie'] ?? []).join('\n')

  it('refresh_token: refresh does not choose, and a login cures it', async () => {
    const answer = await sendLines(gateway.url, 'POST /auth/refresh', [
      `Cookie: refresh_token=a; refresh_token=${foreign}`,
    ])
    expect([answer.status, codeOf(answer)]).toEqual([400, 'header_ambiguous'])
  })

  it('portal_session: a cookie of another application shuts no client out, and entering removes it', async () => {
    const body = 'token=demo-portal-link-token'
    const entered = await sendLines(
      gateway.url,
      'POST /portal/enter',
      [...withBody(body), `Cookie: portal_session=${foreign}; portal_session=b`],
      body,
    )
    expect(entered.status).toBe(303)
    expect(cookiesOf(entered)).toMatch(/portal_session=; Path=\/portal; Max-Age=0/)
    const session = /portal_session=([^;]{20,})/.exec(cookiesOf(entered))?.[1] ?? ''
    for (const cookie of [
      `portal_session=${foreign}; portal_session=${session}`,
      `portal_session=${session}; portal_session=${foreign}`,
    ]) {
      expect((await sendLines(gateway.url, 'GET /portal/api/me', [`Cookie: ${cookie}`])).status).toBe(200)
    }
  })
})

describe('with COOKIE_PREFIX=host', () => {
  let gateway: TestGateway
  let upstream: Upstream
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { COOKIE_PREFIX: 'host', COOKIE_SECURE: 'true', TRUST_PROXY: '1' },
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /private: { upstream: own }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  const send = (line: string, lines: string[], body = '') =>
    sendLines(gateway.url, line, ['X-Forwarded-Host: gw.example.com', ...lines], body)
  const cookiesOf = (answer: RawResponse) => answer.headers['set-cookie'] ?? []
  const logIn = (...lines: string[]) => {
    const body = JSON.stringify({ username: 'alice', password: 'demo-password-1' })
    return send(
      'POST /auth/login',
      ['Content-Type: application/json', `Content-Length: ${body.length}`, ...lines],
      body,
    )
  }

  it('a login sets both cookies by names that a browser keeps for this host alone', async () => {
    const lines = cookiesOf(await logIn()).filter((line) => !line.includes('Max-Age=0'))
    expect(lines.map((line) => line.replace(/=.*$/, ''))).toEqual([
      '__Host-auth_token',
      '__Secure-refresh_token',
    ])
    expect(lines[0]).toMatch(/; Path=\/; .*HttpOnly; SameSite=Lax; Secure$/)
    expect(lines[1]).toMatch(/; Path=\/auth; .*HttpOnly; SameSite=Strict; Secure$/)
    expect(lines.join()).not.toContain('Domain=')
  })

  it('these cookies sign in, refresh and sign out', async () => {
    const [access = '', refresh = ''] = cookiesOf(await logIn())
      .filter((line) => !line.includes('Max-Age=0'))
      .map((line) => line.split(';', 1)[0] ?? '')
    expect((await send('GET /auth/me', [`Cookie: ${access}`])).status).toBe(200)
    const renewed = await send('POST /auth/refresh', [`Cookie: ${refresh}`])
    expect(renewed.status).toBe(200)
    const out = await send('POST /auth/logout', [`Cookie: ${access}`])
    expect(cookiesOf(out).join()).toContain('__Host-auth_token=; Max-Age=0; Path=/;')
    expect((await send('GET /auth/me', [`Cookie: ${access}`])).status).toBe(401)
  })

  it('cookies by the former names are ignored, two that differ too', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    expect(codeOf(await send('GET /auth/me', [`Cookie: auth_token=${token}`]))).toBe(
      'authentication_required',
    )
    const mixed = `Cookie: auth_token=x; __Host-auth_token=${token}; auth_token=${foreign}`
    expect((await send('GET /auth/me', [mixed])).status).toBe(200)
    const two = `Cookie: __Host-auth_token=${token}; __Host-auth_token=${foreign}`
    expect(codeOf(await send('GET /auth/me', [two]))).toBe('header_ambiguous')
  })

  it('a login expires the cookies by the former names, on this host and its parents', async () => {
    const expired = cookiesOf(await logIn('Cookie: auth_token=x; refresh_token=y')).map((line) =>
      line.replace(/; Max-Age.*$/, ''),
    )
    for (const domain of ['', '; Domain=gw.example.com', '; Domain=example.com'])
      expect(expired).toEqual(
        expect.arrayContaining([`auth_token=; Path=/${domain}`, `refresh_token=; Path=/auth${domain}`]),
      )
  })

  it('a service gets neither of them, by none of their names', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    await send('GET /private/x', [
      `Cookie: __Host-auth_token=${token}; __Secure-refresh_token=r; auth_token=a; own=1`,
    ])
    expect(JSON.stringify(upstream.last())).not.toContain('auth_token')
    expect(JSON.stringify(upstream.last())).not.toContain('refresh_token')
    expect(JSON.stringify(upstream.last())).toContain('own=1')
  })
})
