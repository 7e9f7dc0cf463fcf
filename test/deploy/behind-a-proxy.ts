import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import { Agent, type ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { WebSocket } from 'ws'
import { callerHeaders, foldedName } from '../support/caller-headers.js'
import {
  bearer,
  beginRequest,
  type HttpResponse,
  type RequestOptions,
  sendRequest,
} from '../support/http-client.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import type { Proxy } from '../support/proxy-process.js'
import { sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** Starts the proxy under test in front of these nodes. */
export type StartProxy = (nodes: string[]) => Promise<Proxy>

const routesTo = (service: string) => `
upstreams:
  own: { targets: ['${service}'] }
  crm: { targets: [demo] }
routes:
  /open: { upstream: own, auth: public }
  /own: { upstream: own }
  /api/crm: { upstream: crm, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
`

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** How many requests to a route a node has answered so far. */
const answeredBy = (node: TestGateway, route: string) =>
  node.logLines.filter((line) => line.includes('"message":"request"') && line.includes(`"${route}"`)).length

/** One request over HTTP/2 and TLS. */
async function askOverHttp2(
  url: string,
  headers: http2.OutgoingHttpHeaders,
): Promise<{ status: number; body: string }> {
  const session = http2.connect(url, { rejectUnauthorized: false })
  session.on('error', () => undefined) // the stream tells
  try {
    const stream = session.request(headers)
    const [answer] = (await once(stream, 'response')) as [
      http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader,
    ]
    let body = ''
    for await (const chunk of stream) body += String(chunk)
    return { status: answer[':status'] ?? 0, body }
  } finally {
    session.destroy()
  }
}

/** What holds behind every proxy that passes whole requests on to the gateway. */
export function describeGatewayBehind(name: string, startProxy: StartProxy): void {
  describe(`two nodes behind ${name}`, () => {
    let database: TestDatabase
    let upstream: Upstream
    let nodes: TestGateway[]
    let proxy: Proxy
    let alice: { token: string; jti: string; sid: string }
    beforeAll(async () => {
      database = await createTestDatabase()
      upstream = await startUpstream()
      nodes = await Promise.all(
        [1, 2].map(() =>
          startTestGateway({
            database,
            routes: routesTo(upstream.url),
            demoUpstream: true,
            environment: { TRUST_PROXY: '1', COHERENCE_LEASE_MS: '5000' },
          }),
        ),
      )
      proxy = await startProxy(nodes.map(({ url }) => url))
      alice = await tokenFor(database, 'alice')
    })
    afterEach(() => upstream.answerWith(undefined))
    afterAll(async () => {
      await proxy.stop()
      await Promise.all(nodes.map((node) => node.stop()))
      await upstream.stop()
      await database.drop()
    })

    const send = (path: string, question: RequestOptions = {}) => sendRequest(proxy.url, path, question)

    it('a login’s cookie is good for calls through every node, until it is signed out', async () => {
      const body = JSON.stringify({ username: 'alice', password: 'demo-password-1' })
      const login = await send('/auth/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body,
      })
      expect(login.status).toBe(200)
      const cookies = (login.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0])
      expect(cookies.map((cookie) => cookie?.split('=')[0])).toContain('auth_token')
      const headers = { Cookie: cookies.join('; '), 'X-Mandate-Id': mandates.acme }
      const before = nodes.map((node) => answeredBy(node, '/api/crm'))
      for (let call = 0; call < 6; call += 1)
        expect((await send('/api/crm/contacts', { headers })).status).toBe(200)
      nodes.forEach((node, index) => expect(answeredBy(node, '/api/crm')).toBeGreaterThan(before[index]!))
      expect((await send('/auth/logout', { method: 'POST', headers })).status).toBe(204)
      for (let call = 0; call < 4; call += 1)
        expect((await send('/api/crm/contacts', { headers })).status).toBe(401)
    })

    it('a bearer token is good for calls, and the service is told who calls', async () => {
      expect((await send('/own/x', { headers: bearer(alice.token) })).status).toBe(200)
      expect(upstream.last().headers).toMatchObject({ 'x-user-id': users.alice, 'x-session-id': alice.sid })
      expect(upstream.last().headers).not.toHaveProperty('authorization')
    })

    it.each<[string, string, RequestOptions]>([
      ['400 path_ambiguous', '/own/%2e%2e%2fx', {}],
      ['401 without a token', '/own/x', {}],
      ['401 for a bad token', '/auth/me', { headers: { Authorization: 'Bearer nonsense' } }],
      [
        '403 of another site’s page',
        '/own/x',
        { method: 'POST', headers: { Cookie: 'auth_token=x', 'Sec-Fetch-Site': 'cross-site' } },
      ],
      ['404', '/nowhere', {}],
      ['405', '/auth/me', { method: 'PUT' }],
      ['415', '/auth/login', { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: 'x' }],
    ])('a problem of the gateway arrives as it was written: %s', async (_what, path, question) => {
      const same = { ...question, headers: { ...question.headers, 'X-Request-Id': 'the-same' } }
      const [direct, through] = [await sendRequest(nodes[0]!.url, path, same), await send(path, same)]
      const relevant = ({
        status,
        text,
        headers: {
          'content-type': type,
          'www-authenticate': challenge,
          'cache-control': cache,
          allow,
          'x-request-id': id,
          'x-content-type-options': sniff,
        },
      }: HttpResponse) => ({ status, text, type, challenge, cache, allow, id, sniff })
      expect(direct.headers['content-type']).toContain('application/problem+json')
      expect(relevant(through)).toEqual(relevant(direct))
    })

    it('the service hears the address and scheme that the proxy has seen, whatever the client says', async () => {
      const forged = {
        'X-Forwarded-For': '6.6.6.6',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Host': 'evil.example',
        Forwarded: 'for=6.6.6.6;proto=https;host=evil.example',
        'X-Real-IP': '6.6.6.6',
        X_Forwarded_For: '6.6.6.6',
      }
      await send('/open/x', { headers: forged, from: '127.0.0.7' })
      expect(upstream.last().headers).toMatchObject({
        'x-forwarded-for': '127.0.0.7, 127.0.0.1',
        'x-forwarded-proto': 'http',
        'x-forwarded-host': new URL(proxy.url).host,
      })
      expect(JSON.stringify(upstream.last().rawHeaders)).not.toMatch(/6\.6\.6\.6|evil/)
    })

    it('a second line of X-Forwarded-For changes nothing either', async () => {
      await sendLines(proxy.url, 'GET /open/x', [
        'X-Forwarded-For: 6.6.6.6',
        'X-Forwarded-For: 7.7.7.7',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Proto: https',
      ])
      expect(upstream.last().headers).toMatchObject({
        'x-forwarded-for': '127.0.0.1, 127.0.0.1',
        'x-forwarded-proto': 'http',
      })
    })

    it('over TLS and HTTP/2 the scheme is https, and cookies that came in several fields count as one', async () => {
      const path = '/own/a%20b?q=1'
      const { status } = await askOverHttp2(proxy.tlsUrl, {
        ':path': path,
        cookie: ['theme=dark', `auth_token=${alice.token}`, 'language=de'],
      })
      expect(status).toBe(200)
      expect(upstream.last()).toMatchObject({ url: path })
      expect(upstream.last().headers).toMatchObject({
        'x-user-id': users.alice,
        'x-forwarded-proto': 'https',
        cookie: 'theme=dark; language=de',
      })
      expect(
        await askOverHttp2(proxy.tlsUrl, {
          ':path': '/own/../own/x',
          authorization: `Bearer ${alice.token}`,
        }),
      ).toMatchObject({ status: 400 })
    })

    it.each(callerHeaders)(
      '%s of a client never reaches the service, however it is spelled',
      async (header) => {
        const value = header === 'X-Mandate-Id' || header === 'X-Instance-Id' ? mandates.acme : 'forged'
        for (const spelled of [
          header,
          header.toLowerCase(),
          header.replaceAll('-', '_'),
          header.replace('-', '_'),
        ]) {
          expect((await sendLines(proxy.url, 'GET /open/x', [`${spelled}: ${value}`])).status).toBe(200)
          expect(
            upstream
              .last()
              .rawHeaders.filter((_, index) => index % 2 === 0)
              .map(foldedName),
          ).not.toContain(foldedName(header))
        }
      },
    )

    it('a client cannot have /auth/verify answer, nor tell it what was asked', async () => {
      const headers = { ...bearer(alice.token), 'X-Original-URI': '/own/x', 'X-Forwarded-Uri': '/own/x' }
      for (const path of ['/auth/verify', '/auth/verify/own/x', '/auth/%76erify', '/auth/verify?x']) {
        const answer = await send(path, { headers })
        expect([path, answer.status]).toEqual([path, 404])
        expect(answer.headers).not.toHaveProperty('x-user-id')
      }
      await send('/open/x', {
        headers: {
          'X-Original-URI': '/y',
          'X-Original-Method': 'PUT',
          'X-Forwarded-Uri': '/y',
          'X-Forwarded-Method': 'PUT',
        },
      })
      expect(
        Object.keys(upstream.last().headers).filter((one) =>
          /^x-(original|forwarded-(uri|method))/.test(one),
        ),
      ).toEqual([])
    })

    it('a revoked token is refused through every node once the revocation has answered', async () => {
      const { token, jti } = await tokenFor(database, 'bob')
      const root = await tokenFor(database, 'root')
      const statuses = async () =>
        (await Promise.all(Array.from({ length: 8 }, () => send('/own/x', { headers: bearer(token) })))).map(
          ({ status }) => status,
        )
      expect(new Set(await statuses())).toEqual(new Set([200]))
      const revoked = await send(`/system/tokens/${jti}`, { method: 'DELETE', headers: bearer(root.token) })
      expect(JSON.parse(revoked.text)).toMatchObject({ coherence: { acked: 2, fenced: 0 } })
      const before = nodes.map((node) => answeredBy(node, '/own'))
      expect(new Set(await statuses())).toEqual(new Set([401]))
      nodes.forEach((node, index) => expect(answeredBy(node, '/own')).toBeGreaterThan(before[index]!))
    })

    it('an event arrives before the next one is sent, and a stream’s head before its first', async () => {
      const begun: ((res: ServerResponse) => void)[] = []
      const theirs = new Promise<ServerResponse>((resolve) => begun.push(resolve))
      upstream.answerWith((_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
        begun[0]?.(res)
      })
      const { req, response } = beginRequest(proxy.url, '/own/events', { headers: bearer(alice.token) })
      req.end()
      const res = await response
      expect(res.headers['content-type']).toBe('text/event-stream')
      const stream = await theirs
      for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
        stream.write(event)
        const [chunk] = (await once(res, 'data')) as [Buffer]
        expect(chunk.toString()).toBe(event)
      }
      stream.end()
      await once(res, 'end')
    })

    it('a chunk of an upload arrives before the client has ended it', async () => {
      const arrived: string[] = []
      let hear: () => void = () => undefined
      const first = new Promise<void>((resolve) => {
        hear = resolve
      })
      upstream.answerWith((req, res) => {
        req.on('data', (chunk: Buffer) => {
          arrived.push(chunk.toString())
          hear()
        })
        req.on('end', () => res.end())
      })
      const { req, response } = beginRequest(proxy.url, '/own/upload', {
        method: 'POST',
        headers: { ...bearer(alice.token), 'Transfer-Encoding': 'chunked' },
      })
      req.write('one')
      await first
      expect(arrived.join('')).toBe('one')
      req.end('two')
      await response
      expect(arrived.join('')).toBe('onetwo')
    })

    it('20 MB arrive whole in either direction', async () => {
      const bytes = randomBytes(20_000_000)
      upstream.answerWith((req, res) => {
        const hash = createHash('sha256')
        req.on('data', (chunk: Buffer) => hash.update(chunk))
        req.on('end', () => res.writeHead(200, { 'X-Digest': hash.digest('hex') }).end(bytes))
      })
      const answer = await send('/own/upload', {
        method: 'POST',
        headers: { ...bearer(alice.token), 'Content-Length': bytes.length },
        body: bytes,
      })
      expect(answer.headers['x-digest']).toBe(sha256(bytes))
      expect(sha256(answer.body)).toBe(sha256(bytes))
    })

    it('a head as large as the gateway takes comes through', async () => {
      const answer = await send('/open/x', {
        headers: { Cookie: `a=${'x'.repeat(12_000)}`, 'X-Own': 'y'.repeat(12_000) },
      })
      expect(answer.status).toBe(200)
      expect(upstream.last().headers['x-own']).toHaveLength(12_000)
    })

    it.each([
      '/open/a%20b/%C3%A4%21',
      '/open/x?q=%2F..%2F&a=b+c%26d',
      '/open/a;v=1,2/b:c@d',
      '/open/100%25',
      '/open/x?',
      '/open/x?a=//b&c=..',
      '/open/caf%C3%A9/%E2%82%AC',
    ])('%s arrives as it was sent', async (path) => {
      expect((await send(path)).status).toBe(200)
      expect(upstream.last().url).toBe(path)
    })

    it.each([
      '/open//x',
      '//open/x',
      '/open/x//',
      '/open/%2fx',
      '/open%2Fx',
      '/open/../own/x',
      '/open/..',
      '/open/%2e%2e/own/x',
      '/open/.%2E/own/x',
      '/open/./x',
      '/open/x%5cy',
      '/open/x\\y',
      '/open/%00',
      '/open/%252e%252e/x',
      '/open/%zz',
      '/../open/x',
      'http://other.example//own/x',
    ])('%s is refused, and reaches no service', async (path) => {
      const before = upstream.received.length
      expect([
        path,
        (await sendLines(proxy.url, `GET ${path}`, [`Authorization: Bearer ${alice.token}`])).status,
      ]).toEqual([path, 400])
      expect(upstream.received).toHaveLength(before)
    })

    it('connections to the nodes are kept', async () => {
      // one client: HAProxy shares no connection of one with another's first request
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      let opened = 0
      for (const { server } of nodes)
        server.on('connection', () => {
          opened += 1
        })
      for (let call = 0; call < 30; call += 1) expect((await send('/open/x', { agent })).status).toBe(200)
      agent.destroy()
      expect(opened).toBeLessThanOrEqual(10) // HAProxy's checks of readiness and life have their own
    })

    it('only a WebSocket is an upgrade', async () => {
      const answer = await sendLines(proxy.url, 'GET /open/x', [
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
      ])
      expect(answer.status).toBe(200)
      expect(upstream.last().headers).not.toHaveProperty('upgrade')
    })

    // needs: websocket
    describe('WebSockets', () => {
      const socketUrl = () => `${proxy.url.replace('http', 'ws')}/api/crm/ws`
      const refusal = async (headers: Record<string, string>) => {
        const socket = new WebSocket(socketUrl(), { headers })
        socket.on('error', () => undefined) // the answer is looked at instead
        const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }]
        return response.statusCode
      }

      it('speak both ways, text and bytes', async () => {
        const socket = new WebSocket(socketUrl(), {
          headers: { ...bearer(alice.token), 'X-Mandate-Id': mandates.acme },
        })
        await once(socket, 'open')
        for (const message of ['hello', 'ä'.repeat(100_000)]) {
          socket.send(message)
          expect(String((await once(socket, 'message'))[0])).toBe(message)
        }
        const bytes = randomBytes(200_000)
        socket.send(bytes)
        expect(Buffer.compare(((await once(socket, 'message')) as [Buffer])[0], bytes)).toBe(0)
        socket.close(1000)
        expect((await once(socket, 'close'))[0]).toBe(1000)
      })

      it('are refused like any request, and by another site’s page with the caller’s cookie', async () => {
        expect(await refusal({ 'X-Mandate-Id': mandates.acme })).toBe(401)
        expect(
          await refusal({ ...bearer(alice.token), 'X-Mandate-Id': mandates.globex.replace('2', '9') }),
        ).toBe(403)
        expect(
          await refusal({
            Cookie: `auth_token=${alice.token}`,
            'X-Mandate-Id': mandates.acme,
            Origin: 'https://evil.example',
          }),
        ).toBe(403)
      })

      it('of a revoked token are closed', async () => {
        const { token, jti } = await tokenFor(database, 'alice')
        const root = await tokenFor(database, 'root')
        const socket = new WebSocket(socketUrl(), {
          headers: { ...bearer(token), 'X-Mandate-Id': mandates.acme },
        })
        await once(socket, 'open')
        const closed = once(socket, 'close')
        expect(
          (await send(`/system/tokens/${jti}`, { method: 'DELETE', headers: bearer(root.token) })).status,
        ).toBe(200)
        expect((await closed)[0]).toBe(4401)
      })
    })

    it('while one node is down the other serves, and nothing is done twice', async () => {
      await nodes.pop()?.stop()
      upstream.received.length = 0
      for (let call = 0; call < 10; call += 1) {
        expect((await send('/own/x', { headers: bearer(alice.token) })).status).toBe(200)
        expect(
          (await send('/own/x', { method: 'POST', headers: bearer(alice.token), body: `order ${call}` }))
            .status,
        ).toBe(200)
      }
      expect(upstream.received.filter(({ method }) => method === 'POST').map(({ body }) => body)).toEqual(
        Array.from({ length: 10 }, (_, call) => `order ${call}`),
      )
    })

    it('without any node the proxy says 503, as a problem document that may be tried again', async () => {
      await nodes.pop()?.stop()
      const answer = await send('/own/x', { headers: { ...bearer(alice.token), 'X-Request-Id': 'mine' } })
      expect(answer.status).toBe(503)
      expect(answer.headers).toMatchObject({
        'content-type': 'application/problem+json',
        'cache-control': 'no-store',
        'retry-after': '1',
      })
      expect(JSON.parse(answer.text)).toMatchObject({
        status: 503,
        code: 'upstream_unavailable',
        requestId: answer.headers['x-request-id'],
      })
    })
  })

  describe(`limits behind ${name}`, () => {
    let gateway: TestGateway
    let proxy: Proxy
    beforeAll(async () => {
      gateway = await startTestGateway({
        environment: { TRUST_PROXY: '1', RATE_LIMIT_ADDRESS: '20/600s', RATE_LIMIT_LOGIN: '2/600s' },
      })
      proxy = await startProxy([gateway.url])
    })
    afterAll(async () => {
      await proxy.stop()
      await gateway.stop()
    })

    it('count the client’s own address: a forged one neither helps it nor harms others', async () => {
      const statuses: number[] = []
      for (let call = 0; call < 25; call += 1)
        statuses.push(
          (
            await sendRequest(proxy.url, '/auth/me', {
              from: '127.0.0.21',
              headers: { 'X-Forwarded-For': `127.0.1.${call}, 127.0.0.22` },
            })
          ).status,
        )
      expect(statuses).toEqual([...Array<number>(20).fill(401), ...Array<number>(5).fill(429)])
      expect((await sendRequest(proxy.url, '/auth/me', { from: '127.0.0.22' })).status).toBe(401)
      expect((await sendRequest(proxy.url, '/auth/me', { from: '127.0.1.7' })).status).toBe(401)
    })

    it('count failed logins by the client’s own address', async () => {
      const attempt = (call: number, from: string) => sendLogin(proxy.url, from, `127.0.2.${call}`)
      expect([
        await attempt(1, '127.0.0.31'),
        await attempt(2, '127.0.0.31'),
        await attempt(3, '127.0.0.31'),
      ]).toEqual([401, 401, 429])
      expect(await attempt(4, '127.0.0.32')).toBe(401)
    })
  })
}

async function sendLogin(url: string, from: string, forged: string): Promise<number> {
  const body = JSON.stringify({ username: 'bob', password: 'wrong-password' })
  return (
    await sendRequest(url, '/auth/login', {
      method: 'POST',
      from,
      headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': forged },
      body,
    })
  ).status
}
