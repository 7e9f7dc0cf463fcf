import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { instances, mandates, roles, tokenFor, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const callerHeaders = [
  'X-User-Id',
  'X-Username',
  'X-Authority',
  'X-Session-Id',
  'X-Role-Ids',
  'X-Access-Level',
  'X-Portal-Client-Id',
  'X-Gateway-Identity',
  'X-Mandate-Id',
  'X-Instance-Id',
]

const spellings = [
  (name: string) => name,
  (name: string) => name.toLowerCase(),
  (name: string) => name.toUpperCase(),
  (name: string) => name.replaceAll('-', '_'),
  (name: string) => name.replace('-', '_'),
  (name: string) => name.toLowerCase().replaceAll('-', '_'),
  (name: string) => name.replaceAll('-', '.'),
]

const routesTo = (url: string) => `
upstreams:
  own: { targets: ['${url}'] }
routes:
  /public: { upstream: own, auth: public }
  /optional: { upstream: own, auth: optional, mandate: optional, instance: optional }
  /required: { upstream: own }
  /somewhere: { upstream: own, mandate: optional, instance: optional }
  /crm: { upstream: own, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
`

/** How a forgiving upstream (CGI, WSGI, PHP) would read a header's name. */
const folded = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

describe('an upstream receives', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let alice: { token: string; sid: string }
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({ routes: routesTo(upstream.url) })
    alice = await tokenFor(gateway.database, 'alice')
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  /** Names as the upstream would fold them, of the request that it received last. */
  const receivedNames = () =>
    upstream
      .last()
      .rawHeaders.filter((_, index) => index % 2 === 0)
      .map(folded)

  describe.each(callerHeaders)('%s', (name) => {
    const wellFormed =
      name === 'X-Mandate-Id' ? mandates.acme : name === 'X-Instance-Id' ? instances.acmeCrm : 'spoofed'

    it.each([['/public/x'], ['/optional/x']])(
      'of an anonymous client never reaches the upstream, however it is spelled (%s)',
      async (path) => {
        for (const spell of spellings) {
          const answer = await sendLines(gateway.url, `GET ${path}`, [`${spell(name)}: ${wellFormed}`])
          expect(answer.status).toBe(200)
          expect(receivedNames()).not.toContain(folded(name))
        }
      },
    )

    it('of a signed-in client comes from the gateway or not at all, in any spelling', async () => {
      for (const spell of spellings) {
        const answer = await sendLines(gateway.url, 'GET /required/x', [
          `Authorization: Bearer ${alice.token}`,
          `${spell(name)}: ${wellFormed}`,
        ])
        expect(answer.status).toBe(200)
        expect(receivedNames().filter((one) => one === folded(name)).length).toBeLessThanOrEqual(1)
        expect(JSON.stringify(upstream.last().rawHeaders)).not.toContain(wellFormed)
      }
    })
  })

  it('the caller and the place, each in one header', async () => {
    await request(gateway.url)
      .get('/crm/contacts')
      .set('Authorization', `Bearer ${alice.token}`)
      .set('X-Mandate-Id', mandates.acme.toUpperCase())
      .set('X-Instance-Id', instances.acmeCrm)
      .expect(200)
    const { headers } = upstream.last()
    expect(headers).toMatchObject({
      'x-user-id': users.alice,
      'x-username': 'alice',
      'x-authority': 'local',
      'x-session-id': alice.sid,
      'x-mandate-id': mandates.acme,
      'x-instance-id': instances.acmeCrm,
      'x-access-level': 'a',
    })
    expect(String(headers['x-role-ids']).split(/,\s*/).sort()).toEqual(
      [roles.acmeAdmin, roles.crmEditor].sort(),
    )
    expect(headers).not.toHaveProperty('x-portal-client-id')
  })

  it('the level of what the method does: an editor updates the group’s contacts and deletes their own', async () => {
    // an editor without the admin's rules
    await gateway.database.sql(
      `update feature_access_roles set role_id = $1
        where feature_access_id = (select id from feature_access where user_id = $2)`,
      [roles.crmEditor, users.bob],
    )
    const bob = await tokenFor(gateway.database, 'bob')
    for (const [method, level] of [
      ['GET', 'a'],
      ['HEAD', 'a'],
      ['OPTIONS', 'a'],
      ['POST', 'a'],
      ['PUT', 'g'],
      ['PATCH', 'g'],
      ['DELETE', 'm'],
    ] as const) {
      const answer = await sendLines(gateway.url, `${method} /crm/contacts`, [
        `Authorization: Bearer ${bob.token}`,
        `X-Mandate-Id: ${mandates.acme}`,
        `X-Instance-Id: ${instances.acmeCrm}`,
      ])
      expect([
        method,
        answer.status,
        upstream.last().method,
        upstream.last().headers['x-access-level'],
      ]).toEqual([method, 200, method, level])
    }
  })

  it('no session for a program, which has none', async () => {
    const program = await tokenFor(gateway.database, 'reports', {
      row: { purpose: 'api_token', sessionId: null },
      claims: { sid: undefined },
    })
    await request(gateway.url).get('/required/x').set('Authorization', `Bearer ${program.token}`).expect(200)
    expect(upstream.last().headers).toMatchObject({ 'x-user-id': users.reports })
    expect(receivedNames()).not.toContain('x-session-id')
  })

  it('no roles for a caller without roles', async () => {
    const directory = directoryOf(gateway.database)
    const nobody = await directory.user()
    await directory.join(nobody.id, mandates.acme)
    await request(gateway.url)
      .get('/somewhere/x')
      .set('Authorization', `Bearer ${nobody.token}`)
      .set('X-Mandate-Id', mandates.acme)
      .expect(200)
    expect(upstream.last().headers).toMatchObject({ 'x-user-id': nobody.id, 'x-mandate-id': mandates.acme })
    expect(upstream.last().headers).not.toHaveProperty('x-role-ids')
  })

  it('no place if a route needs none, and no level if it needs no permission', async () => {
    await request(gateway.url)
      .get('/required/x')
      .set('Authorization', `Bearer ${alice.token}`)
      .set('X-Mandate-Id', mandates.acme)
      .expect(200)
    expect(upstream.last().headers).not.toHaveProperty('x-mandate-id')
    await request(gateway.url)
      .get('/somewhere/x')
      .set('Authorization', `Bearer ${alice.token}`)
      .set('X-Mandate-Id', mandates.acme)
      .expect(200)
    expect(upstream.last().headers).toHaveProperty('x-mandate-id', mandates.acme)
    expect(upstream.last().headers).not.toHaveProperty('x-access-level')
  })

  it('nothing of a caller on a public route, even with a good token, which it keeps', async () => {
    await request(gateway.url).get('/public/x').set('Authorization', `Bearer ${alice.token}`).expect(200)
    expect(receivedNames().filter((name) => callerHeaders.map(folded).includes(name))).toEqual([])
    expect(upstream.last().headers.authorization).toBe(`Bearer ${alice.token}`)
  })

  it.each(['/required/x', '/optional/x', '/somewhere/x'])(
    'no Authorization, however it is spelled (%s)',
    async (path) => {
      for (const spelling of ['Authorization', 'AUTHORIZATION', 'authorization']) {
        await sendLines(gateway.url, `GET ${path}`, [`${spelling}: Bearer ${alice.token}`])
        expect(receivedNames()).not.toContain('authorization')
      }
      // also where the cookie speaks and the header is something else
      await sendLines(gateway.url, `GET ${path}`, [
        `Cookie: auth_token=${alice.token}`,
        'Authorization: Basic YTpi',
      ])
      expect(receivedNames()).not.toContain('authorization')
    },
  )

  it('no cookie of the gateway, and every other as it was', async () => {
    const cookies = [
      'theme=dark',
      `auth_token=${alice.token}`,
      'refresh_token=r',
      'portal_session=p',
      'my_auth_token=kept',
      'auth_token2=kept',
      'odd="a b"',
    ]
    for (const path of ['/required/x', '/public/x', '/optional/x']) {
      await sendLines(gateway.url, `GET ${path}`, [`Cookie: ${cookies.join('; ')}`])
      const values = String(upstream.last().headers.cookie)
        .split(';')
        .map((pair) => pair.trim())
      expect(values).toEqual(['theme=dark', 'my_auth_token=kept', 'auth_token2=kept', 'odd="a b"'])
    }
    await sendLines(gateway.url, 'GET /required/x', [`Cookie: auth_token=${alice.token}`])
    expect(receivedNames()).not.toContain('cookie')
  })

  it('no cookie of the gateway in odd notations either', async () => {
    for (const line of [
      'Cookie: auth_token =secret',
      'Cookie: a=1;auth_token=secret',
      'Cookie:\tauth_token=secret',
      'COOKIE: a=1;   portal_session=secret;b=2',
      'Cookie: refresh_token=se=secret=cret; c=3',
    ]) {
      await sendLines(gateway.url, 'GET /public/x', [line])
      expect(JSON.stringify(upstream.last().rawHeaders)).not.toContain('secret')
    }
    await sendLines(gateway.url, 'GET /public/x', [
      'Cookie: a=1',
      'Cookie: portal_session=secret',
      'Cookie: b=2',
    ])
    expect(JSON.stringify(upstream.last().rawHeaders)).not.toContain('secret')
    expect(upstream.last().headers.cookie).toBe('a=1; b=2')
  })

  it('no header of one hop, nor any that Connection names', async () => {
    await sendLines(gateway.url, 'GET /public/x', [
      'Connection: X-Hop, close, X-Other-Hop',
      'X-Hop: 1',
      'x-other-hop: 2',
      'Keep-Alive: timeout=5',
      'TE: trailers',
      'Trailer: X-End',
      'Proxy-Authorization: Basic YTpi',
      'Proxy-Connection: keep-alive',
      'Proxy-Authenticate: Basic',
      'X-Stays: 3',
    ])
    const names = receivedNames()
    for (const name of [
      'x-hop',
      'x-other-hop',
      'keep-alive',
      'trailer',
      'proxy-authorization',
      'proxy-connection',
      'proxy-authenticate',
      'upgrade',
    ])
      expect(names).not.toContain(name)
    expect(upstream.last().headers['x-stays']).toBe('3')
  })

  it('the gateway’s own headers even where Connection names them', async () => {
    await sendLines(gateway.url, 'GET /crm/x', [
      `Authorization: Bearer ${alice.token}`,
      `X-Mandate-Id: ${mandates.acme}`,
      'Connection: close, X-User-Id, X-Mandate-Id, X-Request-Id, X-Forwarded-For, Authorization',
    ])
    expect(upstream.last().headers).toMatchObject({
      'x-user-id': users.alice,
      'x-mandate-id': mandates.acme,
      'x-forwarded-for': '127.0.0.1',
    })
    expect(upstream.last().headers).toHaveProperty('x-request-id')
  })

  it('the request id, which the answer carries too: the client’s if well-formed, else a new one', async () => {
    const kept = await sendLines(gateway.url, 'GET /public/x', ['X-Request-Id: from.the-client_1'])
    expect(kept.headers['x-request-id']).toEqual(['from.the-client_1'])
    expect(upstream.last().headers['x-request-id']).toBe('from.the-client_1')
    const made = await sendLines(gateway.url, 'GET /public/x', [
      'X-Request-Id: not ok',
      'X_Request_Id: spoofed',
    ])
    expect(upstream.last().headers['x-request-id']).toBe(made.headers['x-request-id']?.[0])
    expect(receivedNames().filter((name) => name === 'x-request-id')).toHaveLength(1)
  })

  it('a trace context: the client’s where it is well-formed, else a new one', async () => {
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await sendLines(gateway.url, 'GET /public/x', [`traceparent: ${trace}`, 'tracestate: a=b'])
    expect(upstream.last().headers).toMatchObject({ traceparent: trace, tracestate: 'a=b' })
    for (const lines of [
      [],
      ['traceparent: nonsense'],
      ['traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01'],
    ]) {
      await sendLines(gateway.url, 'GET /public/x', lines)
      expect(upstream.last().headers.traceparent).toMatch(
        /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/,
      )
    }
  })

  it('the real origin of the request: a client’s claim is dropped, in any spelling', async () => {
    await sendLines(gateway.url, 'GET /public/x', [
      'X-Forwarded-For: 1.2.3.4',
      'X_Forwarded_For: 1.2.3.4',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: evil.example',
      'X_FORWARDED_HOST: evil.example',
      'Forwarded: for=1.2.3.4;host=evil.example',
    ])
    expect(upstream.last().headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': new URL(gateway.url).host,
    })
    expect(JSON.stringify(upstream.last().rawHeaders)).not.toMatch(/1\.2\.3\.4|evil/)
    expect(upstream.last().headers.host).toBe(new URL(upstream.url).host)
  })

  it.each([
    'X-Real-IP',
    'X-Client-IP',
    'True-Client-IP',
    'X-Cluster-Client-IP',
    'CF-Connecting-IP',
    'X-Original-Host',
    'X-Host',
    'Remote-User',
    'Proxy',
    'X-Forwarded-Prefix',
    'X-HTTP-Method-Override',
    'X-HTTP-Method',
    'X-Method-Override',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-Original-URI',
    'HTTP2-Settings',
  ])('no %s, by which a client could claim another caller, place or path', async (name) => {
    for (const spelling of [name, name.toUpperCase(), name.replaceAll('-', '_')]) {
      const answer = await sendLines(gateway.url, 'GET /public/x', [`${spelling}: /system`, 'X-Stays: 1'])
      expect([
        spelling,
        answer.status,
        receivedNames().includes(folded(name)),
        upstream.last().headers['x-stays'],
      ]).toEqual([spelling, 200, false, '1'])
    }
  })

  it('no header that a forgiving service could take for a second length or host', async () => {
    const answer = await sendLines(
      gateway.url,
      'POST /public/x',
      ['Content-Length: 2', 'Content_Length: 9', 'Host_: evil.example', 'X-Host_: evil.example'],
      'hi',
    )
    expect([answer.status, receivedNames().filter((name) => name === 'content-length')]).toEqual([
      200,
      ['content-length'],
    ])
    expect(upstream.last().body).toBe('hi')
  })

  it('a tracestate with the trace that it belongs to alone', async () => {
    await sendLines(gateway.url, 'GET /public/x', ['tracestate: a=b'])
    expect(receivedNames()).not.toContain('tracestate')
  })

  it('the host by which it was called, unless that needs quoting', async () => {
    await sendRaw(
      gateway.url,
      'GET /public/x HTTP/1.1\r\nHost: app.example:8443\r\nConnection: close\r\n\r\n',
    )
    expect(upstream.last().headers).toMatchObject({
      'x-forwarded-host': 'app.example:8443',
      forwarded: 'for=127.0.0.1;host="app.example:8443";proto=http',
      via: '1.1 mandate-gateway',
    })
    for (const host of ['a"b', 'a,b', 'a;b=c', 'a/b']) {
      const before = upstream.received.length
      const { status } = await sendRaw(
        gateway.url,
        `GET /public/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      )
      if (status !== 200) expect([host, status, upstream.received.length]).toEqual([host, 400, before])
      else
        expect([
          host,
          upstream.last().headers.forwarded,
          receivedNames().includes('x-forwarded-host'),
        ]).toEqual([host, 'for=127.0.0.1;proto=http', false])
    }
    await sendRaw(gateway.url, 'GET /public/x HTTP/1.0\r\n\r\n')
    expect(upstream.last().headers).toMatchObject({
      forwarded: 'for=127.0.0.1;proto=http',
      via: '1.0 mandate-gateway',
    })
    expect(receivedNames()).not.toContain('x-forwarded-host')
  })

  it('a username that no header may hold, percent-encoded, and told apart from one that looks so', async () => {
    await gateway.database.sql(`update users set username = 'zoë müller 東' where id = $1`, [users.erin])
    const { token } = await tokenFor(gateway.database, 'erin', { claims: { sub: 'zoë müller 東' } })
    await request(gateway.url).get('/required/x').set('Authorization', `Bearer ${token}`).expect(200)
    const told = String(upstream.last().headers['x-username'])
    expect(told).toMatch(/^[\x21-\x7e]+$/)
    expect(decodeURIComponent(told)).toBe('zoë müller 東')
    await gateway.database.sql(`update users set username = 'zo%c3%ab' where id = $1`, [users.erin])
    const percent = await tokenFor(gateway.database, 'erin', { claims: { sub: 'zo%c3%ab' } })
    await request(gateway.url).get('/required/x').set('Authorization', `Bearer ${percent.token}`).expect(200)
    expect(decodeURIComponent(String(upstream.last().headers['x-username']))).toBe('zo%c3%ab')
  })

  it('no header of its own from a username with a line break', async () => {
    const username = 'eve\r\nx-user-id: spoofed'
    await gateway.database.sql('update users set username = $1 where id = $2', [username, users.erin])
    const { token } = await tokenFor(gateway.database, 'erin', { claims: { sub: username } })
    await request(gateway.url).get('/required/x').set('Authorization', `Bearer ${token}`).expect(200)
    expect(upstream.last().headers['x-user-id']).toBe(users.erin)
    expect(decodeURIComponent(String(upstream.last().headers['x-username']))).toBe(username)
  })

  it('the body with its type and length, and headers that belong to nobody, as they were', async () => {
    await request(gateway.url)
      .post('/public/x?q=1&q=2')
      .set('Content-Type', 'text/plain')
      .set('Accept-Language', 'de')
      .send('hällo')
      .expect(200)
    expect(upstream.last()).toMatchObject({ method: 'POST', url: '/public/x?q=1&q=2' })
    expect(upstream.last().headers).toMatchObject({
      'content-type': 'text/plain',
      'content-length': '6',
      'accept-language': 'de',
    })
    expect(Buffer.from(upstream.last().body, 'latin1').toString()).toBe('hällo')
  })
})

describe('behind a trusted proxy', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({ routes: routesTo(upstream.url), environment: { TRUST_PROXY: '1' } })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('the trusted proxy’s protocol, host and client are passed on, and earlier values are not believed', async () => {
    await sendLines(gateway.url, 'GET /public/x', [
      'X-Forwarded-For: 6.6.6.6, 203.0.113.9',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: app.example.com',
    ])
    expect(upstream.last().headers).toMatchObject({
      'x-forwarded-for': '203.0.113.9, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'app.example.com',
    })
  })

  it('the protocol in any case, and that of a WebSocket as the one of its handshake', async () => {
    for (const [said, told] of [
      ['HTTPS', 'https'],
      ['Https', 'https'],
      ['wss', 'https'],
      ['WSS', 'https'],
      ['ws', 'http'],
      ['HTTP', 'http'],
      ['http, HTTPS', 'https'],
      ['https, http', 'http'],
      ['ftp', 'http'],
      ['httpss', 'http'],
    ]) {
      await sendLines(gateway.url, 'GET /public/x', [`X-Forwarded-Proto: ${said}`])
      const { headers } = upstream.last()
      expect([said, headers['x-forwarded-proto'], headers.forwarded]).toEqual([
        said,
        told,
        expect.stringContaining(`;proto=${told}`),
      ])
    }
  })

  it('a host that needs quoting is not forwarded', async () => {
    for (const host of ['a"b', 'a;b=c', 'a b', 'ä.example']) {
      const { status } = await sendLines(gateway.url, 'GET /public/x', [`X-Forwarded-Host: ${host}`])
      const { headers } = upstream.last()
      expect([host, status, headers['x-forwarded-host'], headers.forwarded]).toEqual([
        host,
        200,
        undefined,
        'for=127.0.0.1;proto=http',
      ])
    }
  })

  it('the last of several header lines counts, as the proxy’s', async () => {
    await sendLines(gateway.url, 'GET /public/x', [
      'X-Forwarded-For: 6.6.6.6',
      'X-Forwarded-For: 203.0.113.9',
    ])
    expect(upstream.last().headers['x-forwarded-for']).toBe('203.0.113.9, 127.0.0.1')
  })

  it('a proxy that sent no header counts as the client', async () => {
    await sendLines(gateway.url, 'GET /public/x')
    expect(upstream.last().headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': new URL(gateway.url).host,
    })
  })
})
