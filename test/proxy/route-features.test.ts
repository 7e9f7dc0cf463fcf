import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { RouteTableError, parseRouteTable } from '../../src/proxy/route-table.js'
import { explainRoute } from '../../src/proxy/explain-route.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const app = 'https://app.example'
const routesTo = (one: string, other: string) => `
dropRequestHeaders: [X-Acme-User]
upstreams:
  one:
    { targets: ['${one}'], requestHeaders: { set: { X-Service: one, X-Both: upstream } },
      responseHeaders: { remove: [Server] } }
  other: { targets: ['${other}'] }
routes:
  /:
    - { upstream: one, auth: public, requestHeaders: { set: { X-Both: route }, remove: [X-Debug] },
        responseHeaders:
          { set: { Content-Security-Policy: "default-src 'self'", Cache-Control: max-age=60 },
            remove: [X-Powered-By] } }
    - { upstream: other, auth: public, host: [shop.example, '*.shops.example'] }
    - { upstream: other, host: closed.shops.example }
  /guarded: { upstream: one }
  /office: { upstream: other, auth: public, addresses: [10.0.0.0/8, '2001:db8::/32', 192.0.2.7] }
  /counted: { upstream: other, auth: public, exposeHeaders: [X-Total-Count, X-Page] }
`

describe('a route', () => {
  let [one, other]: [Upstream | undefined, Upstream | undefined] = [undefined, undefined]
  let gateway: TestGateway
  beforeAll(async () => {
    ;[one, other] = [await startUpstream(), await startUpstream()]
    gateway = await startTestGateway({
      routes: routesTo(one.url, other.url),
      environment: { TRUST_PROXY: '1', CORS_ORIGINS: app },
    })
  })
  afterEach(() => one?.answerWith(undefined))
  afterAll(async () => {
    await gateway.stop()
    await one?.stop()
    await other?.stop()
  })

  const atHost = async (host: string, path = '/x') => {
    const before = [one?.received.length, other?.received.length]
    const { status } = await sendRaw(
      gateway.url,
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    )
    return status === 200
      ? one?.received.length !== before[0]
        ? 'one'
        : other?.received.length !== before[1]
          ? 'other'
          : 'nobody'
      : status
  }

  it('may be limited to hosts: the longest prefix wins, then the host that is named most exactly', async () => {
    for (const [host, expected] of [
      ['anything.example', 'one'],
      ['shop.example', 'other'],
      ['SHOP.example:8443', 'other'],
      ['shop.example.', 'other'],
      ['a.shops.example', 'other'],
      ['a.b.shops.example', 'other'],
      ['shops.example', 'one'],
      ['closed.shops.example', 401],
      ['evilshop.example', 'one'],
      ['a.shops.example.evil', 'one'],
    ] as const)
      expect([host, await atHost(host)]).toEqual([host, expected])
    // Whatever host a client names: no stricter route below is passed by.
    for (const host of ['shop.example', 'a.shops.example', 'x'])
      expect([host, await atHost(host, '/guarded/x'), await atHost(host, '/Guarded/x')]).toEqual([
        host,
        401,
        400,
      ])
  })

  it('is found by /auth/verify and by the explanation for the same host', async () => {
    const table = parseRouteTable(routesTo('http://127.0.0.1:1', 'http://127.0.0.1:2'), 'routes.yaml')
    for (const [host, status, upstream] of [
      ['closed.shops.example', 401, 'other'],
      ['shop.example', 200, 'other'],
      ['x.example', 200, 'one'],
    ] as const) {
      const asked = await sendLines(gateway.url, 'GET /auth/verify', [
        'X-Original-Method: GET',
        'X-Original-URI: /x',
        `X-Forwarded-Host: ${host}`,
      ])
      expect([host, asked.status, explainRoute(table, 'GET', '/x', host)]).toEqual([
        host,
        status,
        expect.objectContaining({ upstream, auth: status === 401 ? 'required' : 'public' }),
      ])
    }
    expect(explainRoute(table, 'GET', '/x')).toMatchObject({
      requestHeaders: { set: ['X-Service', 'X-Both'], removed: ['x-debug'] },
      responseHeaders: { removed: ['server', 'x-powered-by'] },
    })
    expect(explainRoute(table, 'GET', '/office')).toMatchObject({
      addresses: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7'],
    })
  })

  it('lets in only the addresses that it names, IPv6 too, directly and by /auth/verify', async () => {
    for (const [address, status] of [
      ['10.1.2.3', 200],
      ['11.0.0.1', 403],
      ['192.0.2.7', 200],
      ['192.0.2.8', 403],
      ['2001:db8::5', 200],
      ['2001:DB8:1::5', 200],
      ['2001:db9::5', 403],
      ['::ffff:10.1.2.3', 200],
      ['::ffff:11.0.0.1', 403],
      ['10.1.2.3, 11.0.0.1', 403],
    ] as const) {
      const answer = await sendLines(gateway.url, 'GET /office/x', [`X-Forwarded-For: ${address}`])
      expect([address, answer.status, status === 403 ? codeOf(answer) : undefined]).toEqual([
        address,
        status,
        status === 403 ? 'address_not_allowed' : undefined,
      ])
      expect([
        address,
        (
          await sendLines(gateway.url, 'GET /auth/verify', [
            'X-Original-Method: GET',
            'X-Original-URI: /office/x',
            `X-Forwarded-For: ${address}`,
          ])
        ).status,
      ]).toEqual([address, status])
    }
    expect((await sendLines(gateway.url, 'GET /office/x')).status).toBe(403)
  })

  it('sets and removes headers both ways; a client’s headers of these names do not pass, however spelled', async () => {
    one?.answerWith((req, res) =>
      res
        .writeHead(200, {
          Server: 'x',
          'X-Powered-By': 'x',
          'Content-Security-Policy': 'none',
          'Cache-Control': 'private',
          'X-Stays': 'y',
        })
        .end(JSON.stringify(req.rawHeaders)),
    )
    const answer = await sendLines(gateway.url, 'GET /x', [
      'X-Service: forged',
      'X_Service: forged',
      'X-Debug: forged',
      'x_debug: forged',
      'X-Both: forged',
      'X-Acme-User: forged',
      'X_ACME_USER: forged',
      'X-Kept: mine',
    ])
    expect(answer.body).not.toContain('forged')
    expect(JSON.parse(answer.body)).toEqual(
      expect.arrayContaining(['X-Service', 'one', 'X-Both', 'route', 'X-Kept', 'mine']),
    )
    expect(answer.headers).toMatchObject({
      'content-security-policy': [`default-src 'self'`],
      'cache-control': ['max-age=60'],
      'x-stays': ['y'],
    })
    for (const name of ['server', 'x-powered-by']) expect(answer.headers).not.toHaveProperty(name)
  })

  it('exposes its own headers to pages of CORS_ORIGINS, beside those that all may read', async () => {
    const exposed = async (path: string, origin: string) =>
      (await sendLines(gateway.url, `GET ${path}`, [`Origin: ${origin}`])).headers[
        'access-control-expose-headers'
      ]?.join()
    expect(await exposed('/counted/x', app)).toMatch(/X-Request-Id.*X-Total-Count, X-Page$/)
    expect(await exposed('/x', app)).not.toContain('X-Total-Count')
    expect(await exposed('/counted/x', 'https://evil.example')).toBeUndefined()
  })
})

describe('a header by which software trusts a proxy', () => {
  it.each([
    'X-Original-Method',
    'X-Remote-User',
    'Client-IP',
    'X-Script-Name',
    'SSL-Client-Cert',
    'X-SSL-Client-Verify',
    'X-Forwarded',
    'X-Originating-IP',
    'X-Remote-IP',
    'X-Remote-Addr',
    'Fastly-Client-IP',
    'X-Scheme',
    'X-Url-Scheme',
    'Front-End-Https',
    'X-HTTP-Host-Override',
    'X-Auth-Request-User',
    'X-WebAuth-User',
    'Client-Cert',
    'X-Forwarded-User',
    'CF-Connecting-IPv6',
    'Tailscale-User-Login',
    'X-Middleware-Subrequest',
    'X-Envoy-Original-Path',
    'X-Accel-Mapping',
  ])('%s never reaches a service from a client, however it is spelled', async (name) => {
    const { headerPolicies } = await import('../../src/proxy/header-names.js')
    const policyOf = headerPolicies(new Set())
    for (const spelled of [
      name,
      name.toLowerCase(),
      name.toUpperCase(),
      name.replaceAll('-', '_'),
      name.replaceAll('-', '.'),
    ])
      expect([spelled, policyOf(spelled)]).toEqual([spelled, 'drop'])
    for (const kept of [
      'X-Own',
      'Accept',
      'X-User',
      'X-Api-Key',
      'X-Originally',
      'Content-Type',
      'X-CSRF-Token',
      'Range',
    ])
      expect([kept, policyOf(kept)]).toEqual([kept, 'keep'])
  })
})

describe('X-Forwarded-Host', () => {
  it('of a client is believed only if the proxies are configured to write it', async () => {
    const upstream = await startUpstream()
    const routes = `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes: { /x: [{ upstream: own, auth: public }, { upstream: own, host: inner.example }] }
`
    for (const [setting, told, status] of [
      ['true', 'inner.example', 401],
      ['false', '127.0.0.1', 200],
    ] as const) {
      const gateway = await startTestGateway({
        routes,
        environment: { TRUST_PROXY: '1', TRUST_FORWARDED_HOST: setting },
      })
      try {
        expect((await sendLines(gateway.url, 'GET /x', ['X-Forwarded-Host: inner.example'])).status).toBe(
          status,
        )
        await sendLines(gateway.url, 'GET /x', ['X-Forwarded-Host: other.example'])
        expect(upstream.last().headers['x-forwarded-host']).toContain(
          told === 'inner.example' ? 'other.example' : told,
        )
      } finally {
        await gateway.stop()
      }
    }
    await upstream.stop()
  })
})

describe('a route file', () => {
  const faults = (route: string, upstream = '{ targets: [demo] }', top = '') => {
    try {
      parseRouteTable(`upstreams:\n  own: ${upstream}\nroutes:\n  /x: ${route}\n${top}`, 'routes.yaml')
      return []
    } catch (error) {
      if (error instanceof RouteTableError) return error.faults
      throw error
    }
  }

  it.each([
    ['{ upstream: own, host: https://x.example }', 4, 'host'],
    ['{ upstream: own, host: [] }', 4, 'host'],
    ['[{ upstream: own, host: a }, { upstream: own, host: A }]', 4, 'two routes for a'],
    ['[{ upstream: own }, { upstream: own }]', 4, 'every host'],
    ['[]', 4, '/x'],
    ['[{ upstream: own, host: a }, { upstream: own, hots: b }]', 4, 'hots'],
    ['{ upstream: own, addresses: [10.0.0.0/33] }', 4, 'addresses › 0'],
    ['{ upstream: own, addresses: [10.0.0] }', 4, 'addresses'],
    ['{ upstream: own, addresses: [fe80::1%eth0] }', 4, 'addresses'],
    ['{ upstream: own, addresses: [] }', 4, 'addresses'],
    ['{ upstream: own, requestHeaders: { set: { X-User-Id: x } } }', 4, 'the gateway writes it'],
    ['{ upstream: own, requestHeaders: { remove: [x_gateway_identity] } }', 4, 'the gateway writes it'],
    ['{ upstream: own, requestHeaders: { set: { X-A: "a\\nb" } } }', 4, 'ASCII'],
    ['{ upstream: own, requestHeaders: { set: { Host: x } } }', 4, 'the gateway writes it'],
    [
      '{ upstream: own, responseHeaders: { set: { Strict-Transport-Security: x } } }',
      4,
      'the gateway writes it',
    ],
    ['{ upstream: own, responseHeaders: { remove: [X-Content-Type-Options] } }', 4, 'the gateway writes it'],
    ['{ upstream: own, responseHeaders: { set: { Set-Cookie: auth_token=x } } }', 4, 'Set-Cookie'],
    [
      '{ upstream: own, responseHeaders: { set: { Access-Control-Allow-Origin: "*" } } }',
      4,
      'Access-Control',
    ],
    ['{ upstream: own, responseHeaders: { set: { cache-control: public } } }', 4, 'stored nowhere'],
    ['{ upstream: own, exposeHeaders: [Set-Cookie] }', 4, 'Set-Cookie'],
    ['{ upstream: own, exposeHeaders: ["a b"] }', 4, 'name of a header'],
    ['{ upstream: own, tell: [identity] }', 4, 'user'],
    ['{ upstream: own, tell: [name] }', 4, 'must be some of'],
    ['{ upstream: own, preserveHost: maybe }', 4, 'preserveHost'],
  ])('with %s is refused, with its line', (route, line, word) => {
    const found = faults(route)
    expect(found.length).toBeGreaterThan(0)
    expect(found.join('\n')).toContain(word)
    for (const fault of found) expect(fault).toMatch(new RegExp(`^routes\\.yaml:${line}: `))
  })

  it('names faults of upstreams and of the whole file by their lines too', () => {
    expect(
      faults('{ upstream: own }', '{ targets: [demo], responseHeaders: { set: { Cache-Control: public } } }'),
    ).toEqual([expect.stringMatching(/^routes\.yaml:2: .*public routes/)])
    expect(faults('{ upstream: own }', undefined, 'dropRequestHeaders: [X-Fine, X-User-Id]\n')).toEqual([
      expect.stringMatching(/^routes\.yaml:5: dropRequestHeaders › 1: .*X-User-Id/),
    ])
  })
})
