import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createIdentityVerifier } from '../../packages/upstream/src/index.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, roles, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, type RawResponse } from '../support/raw-http.js'
import { withoutTable } from '../support/tables.js'
import { until } from '../support/until.js'

const routes = `
upstreams:
  crm: { targets: ['http://127.0.0.1:9'] }
  files: { targets: ['http://127.0.0.1:9'] }
routes:
  /private: { upstream: crm }
  /public: { upstream: files, auth: public }
  /optional: { upstream: files, auth: optional }
  /crm: { upstream: crm, mandate: required, permission: { context: RESOURCE, item: crm } }
  /shared: { upstream: crm, mandate: required, mandateFrom: [path, query] }
  /platform: { upstream: crm, guard: platformAdmin }
  /few: { upstream: crm, rateLimit: 2/60s }
`
const app = 'https://app.example.com'
const callerHeaders = [
  'x-user-id',
  'x-username',
  'x-authority',
  'x-session-id',
  'x-mandate-id',
  'x-instance-id',
  'x-role-ids',
  'x-access-level',
  'x-portal-client-id',
  'x-gateway-identity',
]

/** How three proxies ask about a request. */
const styles = {
  nginx: (method: string, uri: string) => [
    'GET /auth/verify',
    [`X-Original-Method: ${method}`, `X-Original-URI: ${uri}`],
  ],
  Traefik: (method: string, uri: string) => [
    'GET /auth/verify',
    [
      `X-Forwarded-Method: ${method}`,
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: app.example',
      `X-Forwarded-Uri: ${uri}`,
    ],
  ],
  Envoy: (method: string, uri: string) => [
    `${method} /auth/verify${uri}`,
    method === 'GET' ? [] : ['Content-Length: 0'],
  ],
} as const satisfies Record<string, (method: string, uri: string) => [string, string[]]>
type Style = keyof typeof styles

describe('/auth/verify', () => {
  let database: TestDatabase
  let gateway: TestGateway
  let untrusting: TestGateway
  let token: string
  let bob: string
  beforeAll(async () => {
    database = await createTestDatabase()
    gateway = await startTestGateway({
      database,
      routes,
      environment: { TRUST_PROXY: '1', CORS_ORIGINS: app },
    })
    untrusting = await startTestGateway({ database, routes })
    token = (await tokenFor(database, 'alice')).token
    bob = (await tokenFor(database, 'bob')).token
  })
  afterAll(async () => {
    await gateway.stop()
    await untrusting.stop()
    await database.drop()
  })

  const bearer = (of = token) => `Authorization: Bearer ${of}`
  const inAcme = () => [bearer(), `X-Mandate-Id: ${mandates.acme}`]

  async function verify(
    style: Style,
    method: string,
    uri: string,
    lines: string[] = [],
  ): Promise<RawResponse> {
    const [requestLine, own] = styles[style](method, uri)
    return await sendLines(gateway.url, requestLine, [...own, ...lines])
  }
  /** 200, or [status, code]. */
  async function outcome(...args: Parameters<typeof verify>): Promise<number | [number, string | undefined]> {
    const answer = await verify(...args)
    if (answer.status === 200) expect(answer.body).toBe('')
    return answer.status === 200 ? 200 : [answer.status, codeOf(answer)]
  }

  describe.each(Object.keys(styles) as Style[])('as %s asks', (style) => {
    it('decides by the route that the request would take', async () => {
      expect(await outcome(style, 'GET', '/public/x')).toBe(200)
      expect(await outcome(style, 'GET', '/private/x')).toEqual([401, 'authentication_required'])
      expect(await outcome(style, 'GET', '/private/x?a=1', [bearer()])).toBe(200)
      expect(await outcome(style, 'GET', '/optional')).toBe(200)
      expect(await outcome(style, 'GET', '/optional', [bearer('nonsense')])).toEqual([401, 'token_invalid'])
      expect(await outcome(style, 'GET', '/platform', [bearer()])).toEqual([403, 'platform_admin_required'])
    })

    it('decides by its method', async () => {
      for (const method of ['GET', 'HEAD', 'OPTIONS'])
        expect([
          method,
          await outcome(style, method, '/crm/x', [bearer(bob), `X-Mandate-Id: ${mandates.acme}`]),
        ]).toEqual([method, 200])
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
        expect([
          method,
          await outcome(style, method, '/crm/x', [bearer(bob), `X-Mandate-Id: ${mandates.acme}`]),
        ]).toEqual([method, [403, 'permission_denied']])
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
        expect([method, await outcome(style, method, '/crm/x', inAcme())]).toEqual([method, 200])
    })

    it('answers 403 in place of 400 or 404, with its code', async () => {
      expect(await outcome(style, 'GET', '/crm/x', [bearer()])).toEqual([403, 'mandate_required'])
      expect(await outcome(style, 'GET', '/crm/x', [bearer(), 'X-Mandate-Id: x'])).toEqual([
        403,
        'mandate_id_invalid',
      ])
      expect(await outcome(style, 'GET', '/nowhere', [bearer()])).toEqual([403, 'not_found'])
      expect(await outcome(style, 'GET', '/crm/x', [bearer(), `X-Mandate-Id: ${mandates.initech}`])).toEqual([
        403,
        'mandate_disabled',
      ])
      expect(await outcome(style, 'GET', '/private', [bearer(), bearer()])).toEqual([403, 'header_ambiguous'])
    })

    it('reads the mandate where the route says, of the request that is asked about', async () => {
      expect(await outcome(style, 'GET', `/shared/${mandates.acme}/x`, [bearer()])).toBe(200)
      expect(await outcome(style, 'GET', `/shared?mandateId=${mandates.initech}`, [bearer()])).toEqual([
        403,
        'mandate_disabled',
      ])
      expect(
        await outcome(style, 'GET', `/shared/${mandates.acme}?mandateId=${mandates.globex}`, [bearer()]),
      ).toEqual([403, 'header_ambiguous'])
    })

    it('responds with the caller, for the upstream of that route', async () => {
      const { status, headers } = await verify(style, 'GET', '/crm/x', inAcme())
      expect(status).toBe(200)
      expect(headers).toMatchObject({
        'x-user-id': [users.alice],
        'x-username': ['alice'],
        'x-authority': ['local'],
        'x-mandate-id': [mandates.acme],
        'x-role-ids': [roles.acmeAdmin],
        'x-access-level': ['a'],
        'cache-control': ['no-store'],
      })
      const identity = headers['x-gateway-identity']?.[0] ?? ''
      const verifierFor = (audience: string) => createIdentityVerifier({ gatewayUrl: gateway.url, audience })
      expect(await verifierFor('crm').verify(identity)).toMatchObject({
        userId: users.alice,
        mandateId: mandates.acme,
        accessLevel: 'a',
      })
      await expect(verifierFor('files').verify(identity)).rejects.toThrow()
      const optional = await verify(style, 'GET', '/optional', [bearer()])
      expect(
        await verifierFor('files').verify(optional.headers['x-gateway-identity']?.[0] ?? ''),
      ).toMatchObject({ userId: users.alice, mandateId: null })
    })

    it('responds with nothing that the client made up', async () => {
      const forged = [
        'X-User-Id: forged',
        'X_User_Id: forged',
        'X-Username: forged',
        'X-Role-Ids: forged',
        'X-Gateway-Identity: forged',
        'X-Session-Id: forged',
        'X-Portal-Client-Id: forged',
        'X-Access-Level: forged',
      ]
      for (const [uri, lines] of [
        ['/public', []],
        ['/optional', []],
        ['/private', [bearer()]],
        ['/crm', inAcme()],
        ['/private', []],
      ] as const) {
        const { text } = await verify(style, 'GET', uri, [...lines, ...forged])
        expect(text).not.toMatch(/forged/)
      }
      for (const uri of ['/public', '/optional']) {
        const { headers } = await verify(style, 'GET', uri, forged)
        for (const name of callerHeaders) expect(headers).not.toHaveProperty(name)
      }
      const public_ = await verify(style, 'GET', '/public', [bearer()])
      expect(public_.headers).not.toHaveProperty('x-user-id')
    })

    it('refuses a request that another site’s page made a browser send', async () => {
      const cookie = `Cookie: auth_token=${token}`
      expect(await outcome(style, 'POST', '/private', [cookie, 'Sec-Fetch-Site: cross-site'])).toEqual([
        403,
        'cross_site_request',
      ])
      expect(await outcome(style, 'POST', '/private', [cookie, 'Origin: https://evil.example'])).toEqual([
        403,
        'cross_site_request',
      ])
      expect(
        await outcome(style, 'POST', '/private', [cookie, `Origin: ${app}`, 'Sec-Fetch-Site: cross-site']),
      ).toBe(200)
      expect(await outcome(style, 'GET', '/private', [cookie, 'Sec-Fetch-Site: cross-site'])).toBe(200)
      expect(
        await outcome(style, 'GET', '/private', [
          cookie,
          'Sec-Fetch-Site: cross-site',
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
        ]),
      ).toEqual([403, 'cross_site_request'])
    })

    it('is believed from trusted proxies only', async () => {
      const [requestLine, lines] = styles[style]('GET', '/public/x')
      const answer = await sendLines(untrusting.url, requestLine, lines)
      expect([answer.status, codeOf(answer)]).toEqual([403, 'permission_denied'])
      const signedIn = await sendLines(untrusting.url, requestLine, [...lines, bearer()])
      expect([signedIn.status, codeOf(signedIn)]).toEqual([403, 'permission_denied'])
    })

    it('answers 503 when it cannot be decided', async () => {
      await withoutTable(database, 'tokens', async () => {
        const answer = await verify(style, 'GET', '/private', [bearer()])
        expect([answer.status, codeOf(answer), answer.headers['retry-after']?.length]).toEqual([
          503,
          'authentication_unavailable',
          1,
        ])
        expect(await outcome(style, 'GET', '/public')).toBe(200)
      })
    })
  })

  describe.each(['nginx', 'Traefik'] as const)('as %s names a path', (style) => {
    it.each([
      '/public/..%2fprivate',
      '/public/../private',
      '/public//private',
      '/public/%2e%2e/private',
      '/public\\..\\private',
      '/public/%252e%252e/private',
      '/public;/../private',
      '/public/%00',
      '/public/%zz',
      'http://gateway.example/public',
      'public',
      '//gateway.example/public',
      '*',
    ])('%s: refuses a path that two programs could read differently', async (uri) => {
      const answer = await verify(style, 'GET', uri, [bearer()])
      expect(answer.status).toBe(403)
    })

    it('that is the gateway’s own: there is no route', async () => {
      for (const uri of ['/auth/me', '/auth/verify', '/admin/users', '/healthz', '/portal'])
        expect(await outcome(style, 'GET', uri, [bearer()])).toEqual([403, 'not_found'])
    })

    it('without a method, or with one that is none: refuses', async () => {
      const uri = style === 'nginx' ? 'X-Original-URI' : 'X-Forwarded-Uri'
      const method = style === 'nginx' ? 'X-Original-Method' : 'X-Forwarded-Method'
      expect((await sendLines(gateway.url, 'GET /auth/verify', [`${uri}: /public`])).status).toBe(403)
      for (const value of ['get', 'G ET', '', 'GET, POST'])
        expect(
          (await sendLines(gateway.url, 'GET /auth/verify', [`${uri}: /public`, `${method}: ${value}`]))
            .status,
        ).toBe(403)
    })
  })

  it('refuses two names of the request that differ, and takes two that agree', async () => {
    const [nginx, traefik] = [
      (uri: string) => [`X-Original-URI: ${uri}`, 'X-Original-Method: GET'],
      (uri: string, method = 'GET') => [`X-Forwarded-Uri: ${uri}`, `X-Forwarded-Method: ${method}`],
    ]
    const statusFor = async (...lines: string[]) =>
      (await sendLines(gateway.url, 'GET /auth/verify', lines)).status
    expect(await statusFor(...nginx('/public'), ...traefik('/private'))).toBe(403)
    expect(await statusFor(...nginx('/private'), ...traefik('/public'))).toBe(403)
    expect(await statusFor(...nginx('/public'), ...traefik('/public', 'POST'))).toBe(403)
    expect(await statusFor(...nginx('/public'), ...traefik('/public'))).toBe(200)
  })

  it('refuses a header that names another request than the path: a client may have forged it', async () => {
    for (const lines of [
      ['X-Original-URI: /public', 'X-Original-Method: GET'],
      ['X-Forwarded-Uri: /public', 'X-Forwarded-Method: GET'],
    ]) {
      expect((await sendLines(gateway.url, 'GET /auth/verify/private', lines)).status).not.toBe(200)
    }
  })

  it('refuses a name that is sent twice: a proxy may have added its own after the client’s', async () => {
    for (const uri of ['/public', '/public/x', '/public?a=1', '/public/x?a=']) {
      const answer = await sendLines(gateway.url, 'GET /auth/verify', [
        `X-Original-URI: ${uri}`,
        'X-Original-URI: /private',
        'X-Original-Method: GET',
      ])
      expect([uri, answer.status]).toEqual([uri, 403])
    }
  })

  it('knows an attempt to open a WebSocket also where the proxy has taken Upgrade away, as nginx does', async () => {
    const lines = [
      `Cookie: auth_token=${token}`,
      'Origin: https://evil.example',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ]
    expect(await outcome('nginx', 'GET', '/private', lines)).toEqual([403, 'cross_site_request'])
  })

  it('answers 403 also for a path below its own that is ambiguous', async () => {
    expect(await outcome('Envoy', 'GET', '/public/..%2fprivate')).toEqual([403, 'path_ambiguous'])
  })

  it('never grants an ambiguous path as Envoy names it', async () => {
    for (const uri of [
      '/public/..%2fprivate',
      '/public/%2e%2e/private',
      '/public//private',
      '/../auth/me',
      '/%61uth/me',
    ]) {
      expect((await verify('Envoy', 'GET', uri, [bearer()])).status).toBeGreaterThanOrEqual(400)
    }
  })

  it('counts against the route’s limits, together with what is forwarded', async () => {
    expect(await outcome('nginx', 'GET', '/few', [bearer()])).toBe(200)
    // there is no service in this test
    expect((await sendLines(gateway.url, 'GET /few', [bearer()])).status).toBe(502)
    expect(await outcome('Traefik', 'GET', '/few', [bearer()])).toEqual([403, 'rate_limited'])
    expect(await outcome('Traefik', 'GET', '/few', [bearer(bob)])).toBe(200)
  })

  it('notes the use of a level as the request itself would', async () => {
    const petra = (await tokenFor(database, 'petra')).token
    expect(
      await outcome('nginx', 'DELETE', '/platform/x', [bearer(petra), 'X-Request-Id: verified-by-nginx']),
    ).toBe(200)
    const rows = await until(async () => {
      const found = await database.sql<{ action: string; details: { method?: string } }>(
        'select action, details from audit_events where request_id = $1',
        ['verified-by-nginx'],
      )
      return found.length > 0 ? found : undefined
    })
    expect(rows).toMatchObject([{ action: 'platform_admin_action', details: { method: 'DELETE' } }])
  })

  it('without another request responds with the caller and the place', async () => {
    for (const { url } of [gateway, untrusting]) {
      const answer = await sendLines(url, 'GET /auth/verify', [...inAcme(), 'X-User-Id: forged'])
      expect([answer.status, answer.headers['x-user-id'], answer.headers['x-mandate-id']]).toEqual([
        200,
        [users.alice],
        [mandates.acme],
      ])
      const refusals = [
        await sendLines(url, 'GET /auth/verify'),
        await sendLines(url, 'GET /auth/verify', [bearer(), 'X-Mandate-Id: x']),
        await sendLines(url, 'GET /auth/verify', [bearer(bob), `X-Mandate-Id: ${mandates.globex}`]),
      ]
      expect(refusals.map((one) => [one.status, codeOf(one)])).toEqual([
        [401, 'authentication_required'],
        [403, 'mandate_id_invalid'],
        [403, 'not_a_member'],
      ])
    }
  })
})
