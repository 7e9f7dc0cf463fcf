import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { WebSocket, WebSocketServer } from 'ws'
import { normalisePath } from '../../src/http/normalise-path.js'
import { callerHeaders, foldedName } from '../support/caller-headers.js'
import { bearer, beginRequest, type RequestOptions, sendRequest } from '../support/http-client.js'
import { instances, mandates, roles, tokenFor, users } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { partsOf } from '../support/hand-signed.js'
import { startNginx } from '../support/nginx.js'
import type { Proxy } from '../support/proxy-process.js'
import { sendLines } from '../support/raw-http.js'
import { withoutTable } from '../support/tables.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const routesTo = (service: string) => `
upstreams:
  crm: { targets: ['${service}'] }
routes:
  /api/crm: { upstream: crm, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
  /api/crm/open: { upstream: crm, auth: public }
  /api/crm/maybe: { upstream: crm, auth: optional, mandate: optional, instance: optional }
  /api/crm/mine: { upstream: crm }
`

const lowerCase = callerHeaders.map((name) => name.toLowerCase())

/** What a service is told of the caller, but for the signature, which is new each time. */
const toldOf = (headers: IncomingHttpHeaders) =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => lowerCase.includes(name) && name !== 'x-gateway-identity'),
  )

// needs: verify
describe('nginx asks the gateway and serves itself', () => {
  let service: Upstream
  let gateway: TestGateway
  let proxy: Proxy
  let alice: { token: string; sid: string }
  let bob: { token: string; sid: string }
  beforeAll(async () => {
    service = await startUpstream()
    gateway = await startTestGateway({ routes: routesTo(service.url), environment: { TRUST_PROXY: '1' } })
    proxy = await startNginx('auth-request.conf', { nodes: [gateway.url], service: service.url })
    alice = await tokenFor(gateway.database, 'alice')
    bob = await tokenFor(gateway.database, 'bob')
  })
  afterEach(() => service.answerWith(undefined))
  afterAll(async () => {
    await proxy.stop()
    await gateway.stop()
    await service.stop()
  })

  const send = (path: string, question: RequestOptions = {}) => sendRequest(proxy.url, path, question)
  const asAlice = () => ({ ...bearer(alice.token), 'X-Mandate-Id': mandates.acme })

  describe('what the service is told', () => {
    it('exactly who calls, where, and with what rights', async () => {
      const answer = await send('/api/crm/contacts?x=1', {
        headers: { ...asAlice(), 'X-Instance-Id': instances.acmeCrm },
      })
      expect(answer.status).toBe(200)
      expect(service.last()).toMatchObject({ method: 'GET', url: '/api/crm/contacts?x=1' })
      expect(toldOf(service.last().headers)).toEqual({
        'x-user-id': users.alice,
        'x-username': 'alice',
        'x-authority': 'local',
        'x-session-id': alice.sid,
        'x-mandate-id': mandates.acme,
        'x-instance-id': instances.acmeCrm,
        'x-role-ids': expect.stringMatching(new RegExp(`^(?=.*${roles.acmeAdmin})(?=.*${roles.crmEditor})`)),
        'x-access-level': 'a',
      })
      expect(partsOf(String(service.last().headers['x-gateway-identity'])).claims).toMatchObject({
        aud: 'crm',
        userId: users.alice,
        mandateId: mandates.acme,
        instanceId: instances.acmeCrm,
        sid: alice.sid,
      })
    })

    it('the same as when the gateway forwards the request itself', async () => {
      for (const path of ['/api/crm/contacts', '/api/crm/mine/x', '/api/crm/maybe/x', '/api/crm/open/x']) {
        const headers = { ...asAlice(), 'X-Instance-Id': instances.acmeCrm }
        await send(path, { headers })
        const [byNginx, url] = [toldOf(service.last().headers), service.last().url]
        await sendRequest(gateway.url, path, { headers })
        expect(byNginx).toEqual(toldOf(service.last().headers))
        expect(url).toBe(service.last().url)
      }
    })

    it.each(['/api/crm/contacts', '/api/crm/mine/x', '/api/crm/maybe/x', '/api/crm/open/x'])(
      'nothing that the client says of itself, however it is spelled (%s)',
      async (path) => {
        for (const spell of [
          (name: string) => name,
          (name: string) => name.toLowerCase(),
          (name: string) => name.replaceAll('-', '_'),
          (name: string) => name.replace('-', '_'),
          (name: string) => name.replaceAll('-', '.'),
        ]) {
          // The place is asked for, so it must be one that there is; by its own name it is even given where the
          // route asks for one.
          const forged = callerHeaders
            .filter((name) => !/^X-(Mandate|Instance)-Id$/i.test(spell(name)))
            .map((name) => `${spell(name)}: ${name.endsWith('-Id') ? users.root : 'forged'}`)
          const answer = await sendLines(proxy.url, `GET ${path}`, [
            `Authorization: Bearer ${bob.token}`,
            `X-Mandate-Id: ${mandates.acme}`,
            ...forged,
          ])
          expect(answer.status).toBe(200)
          expect(JSON.stringify(service.last().rawHeaders)).not.toMatch(new RegExp(`forged|${users.root}`))
          const asked = path.endsWith('contacts') || path.includes('maybe')
          expect(
            service.last().rawHeaders.filter((name) => foldedName(name) === 'x-mandate-id'),
          ).toHaveLength(asked ? 1 : 0)
          expect(service.last().headers['x-user-id']).toBe(path.includes('open') ? undefined : users.bob)
        }
      },
    )

    it.each(['/api/crm/maybe/x', '/api/crm/open/x'])(
      'nothing of a caller whom nobody knows, whatever the client sends (%s)',
      async (path) => {
        for (const name of callerHeaders) {
          await sendLines(proxy.url, `GET ${path}`, [`${name}: ${mandates.acme}`])
          expect([
            name,
            toldOf(service.last().headers),
            service.last().headers['x-gateway-identity'],
          ]).toEqual([name, {}, undefined])
        }
      },
    )

    it('neither a token nor one of the gateway’s cookies, while other cookies arrive', async () => {
      const cases: [string, string | undefined][] = [
        [`auth_token=${alice.token}`, undefined],
        [`auth_token=${alice.token}; theme=dark`, 'theme=dark'],
        [`theme=dark; auth_token=${alice.token}`, 'theme=dark'],
        [
          `a=1; auth_token=${alice.token}; b=2; refresh_token=secret; c=3; portal_session=secret; d=4`,
          'a=1; b=2; c=3; d=4',
        ],
        [`a=1;auth_token=${alice.token};b=2`, 'a=1;b=2'],
        [
          `a=1; auth_token=${alice.token}; auth_token=${alice.token}; refresh_token; refresh_token=; b=2`,
          'a=1; b=2',
        ],
        [
          `my_auth_token=1; auth_token=${alice.token}; auth_tokens=2; x=auth_token=3`,
          'my_auth_token=1; auth_tokens=2; x=auth_token=3',
        ],
        [`\tauth_token = ${alice.token} ; a=1`, 'a=1'],
        [`a="quoted"; auth_token=${alice.token}; b=c=d`, 'a="quoted"; b=c=d'],
        [`a=1; ${`auth_token=${alice.token}; `.repeat(6)}b=2`, 'a=1; b=2'],
        [`a=1; ${`auth_token=${alice.token}; `.repeat(7)}b=2`, undefined],
        ['theme=dark; a=1', 'theme=dark; a=1'],
      ]
      for (const [cookie, arrives] of cases) {
        const answer = await send('/api/crm/contacts', {
          headers: {
            Cookie: cookie,
            'X-Mandate-Id': mandates.acme,
            ...(cookie.includes('auth_token') ? {} : bearer(alice.token)),
          },
        })
        expect([cookie, answer.status]).toEqual([cookie, 200])
        expect(service.last().headers.cookie).toBe(arrives)
        expect(JSON.stringify(service.last().rawHeaders)).not.toContain(alice.token)
        expect(service.last().headers).not.toHaveProperty('authorization')
      }
    })

    it('the address that nginx has seen, and one request id for all', async () => {
      const forged = {
        'X-Forwarded-For': '6.6.6.6',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Host': 'evil.example',
        Forwarded: 'for=6.6.6.6',
        'X-Request-Id': 'mine-1',
        ...Object.fromEntries(
          [
            'X-Real-IP',
            'X-Client-IP',
            'True-Client-IP',
            'X-Forwarded-Port',
            'X-Forwarded-Prefix',
            'X-Forwarded-Server',
          ].map((name) => [name, '6.6.6.6']),
        ),
      }
      const answer = await send('/api/crm/open/x', { headers: forged, from: '127.0.0.7' })
      expect(service.last().headers).toMatchObject({
        'x-forwarded-for': '127.0.0.7',
        'x-forwarded-proto': 'http',
        'x-forwarded-host': new URL(proxy.url).host,
        'x-request-id': 'mine-1',
      })
      expect(JSON.stringify(service.last().rawHeaders)).not.toMatch(/6\.6\.6\.6|evil/)
      expect(answer.headers['x-request-id']).toBe('mine-1')
      expect(gateway.logLines.filter((line) => line.includes('"mine-1"'))).toHaveLength(1)
      service.answerWith((req, res) =>
        res.writeHead(200, { 'X-Request-Id': 'the-service-has-its-own' }).end(req.headers['x-request-id']),
      )
      const own = await send('/api/crm/open/x', { headers: { 'X-Request-Id': 'not well-formed' } })
      expect(own.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/)
      expect(own.text).toBe(own.headers['x-request-id'])
      expect(gateway.logLines.filter((line) => line.includes(own.text))).toHaveLength(1)
    })

    it('all the roles of a caller who has many, and large headers of the client', async () => {
      const directory = directoryOf(gateway.database)
      const user = await directory.user()
      const many = await Promise.all(
        Array.from({ length: 150 }, () =>
          directory.role({
            mandateId: mandates.acme,
            rules: [{ context: 'RESOURCE', item: 'crm', read: 'a' }],
          }),
        ),
      )
      await directory.join(user.id, mandates.acme, { roles: many })
      const answer = await send('/api/crm/contacts', {
        headers: {
          ...bearer(user.token),
          'X-Mandate-Id': mandates.acme,
          Cookie: `a=${'x'.repeat(9000)}`,
          'X-Own': 'y'.repeat(9000),
        },
      })
      expect(answer.status).toBe(200)
      expect(String(service.last().headers['x-role-ids']).split(',').sort()).toEqual(many.sort())
      expect(service.last().headers['x-own']).toHaveLength(9000)
    })
  })

  describe('who is refused', () => {
    const refused = async (path: string, question: RequestOptions, status: number) => {
      const before = service.received.length
      const answer = await send(path, question)
      expect([path, answer.status]).toEqual([path, status])
      expect(service.received).toHaveLength(before)
      expect(answer.headers).toMatchObject({
        'content-type': 'application/problem+json',
        'cache-control': 'no-store',
      })
      expect(JSON.parse(answer.text)).toMatchObject({ status, requestId: answer.headers['x-request-id'] })
      expect(Object.keys(answer.headers).filter((name) => lowerCase.includes(name))).toEqual([])
      return answer
    }

    it('401 without a token and with a bad one, with the challenge of the gateway', async () => {
      expect(
        (await refused('/api/crm/contacts', { headers: { 'X-Mandate-Id': mandates.acme } }, 401)).headers[
          'www-authenticate'
        ],
      ).toMatch(/^Bearer\b/)
      expect(
        (await refused('/api/crm/contacts', { headers: { Authorization: 'Bearer nonsense' } }, 401)).headers[
          'www-authenticate'
        ],
      ).toMatch(/^Bearer\b.*invalid_token/)
      await refused('/api/crm/maybe/x', { headers: { Authorization: 'Bearer nonsense' } }, 401)
    })

    it('403 without the right, in a foreign mandate and without a mandate', async () => {
      await refused(
        '/api/crm/contacts',
        { method: 'POST', headers: { ...bearer(bob.token), 'X-Mandate-Id': mandates.acme }, body: '{}' },
        403,
      )
      await refused(
        '/api/crm/contacts',
        { headers: { ...bearer(bob.token), 'X-Mandate-Id': mandates.globex } },
        403,
      )
      await refused('/api/crm/contacts', { headers: bearer(bob.token) }, 403)
    })

    it('404 by the gateway itself where only the letters begin like a location', async () => {
      expect((await send('/api/crmx', { headers: asAlice() })).status).toBe(404)
    })

    it('403 for another site’s page with the caller’s cookie', async () => {
      const headers = { Cookie: `auth_token=${alice.token}`, 'X-Mandate-Id': mandates.acme }
      await refused(
        '/api/crm/contacts',
        { method: 'POST', headers: { ...headers, 'Sec-Fetch-Site': 'cross-site' } },
        403,
      )
      await refused(
        '/api/crm/contacts',
        { method: 'POST', headers: { ...headers, Origin: 'https://evil.example' } },
        403,
      )
      expect(
        (
          await send('/api/crm/contacts', {
            method: 'POST',
            headers: { ...headers, 'Sec-Fetch-Site': 'same-origin' },
          })
        ).status,
      ).toBe(200)
    })

    it('401 for a preflight from another origin, which carries no token: such pages need forwarding', async () => {
      await refused(
        '/api/crm/contacts',
        {
          method: 'OPTIONS',
          headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' },
        },
        401,
      )
    })

    it('a token that names its mandate or itself twice', async () => {
      const before = service.received.length
      for (const lines of [
        [`X-Mandate-Id: ${mandates.acme}`, `X-Mandate-Id: ${mandates.globex}`],
        [`Authorization: Bearer ${bob.token}`, `X-Mandate-Id: ${mandates.acme}`],
      ]) {
        const { status } = await sendLines(proxy.url, 'GET /api/crm/contacts', [
          `Authorization: Bearer ${alice.token}`,
          ...lines,
        ])
        expect([400, 403]).toContain(status)
      }
      expect(service.received).toHaveLength(before)
    })

    it('a revoked token, from the moment that the revocation has answered', async () => {
      const { token, jti } = await tokenFor(gateway.database, 'alice')
      const headers = { ...bearer(token), 'X-Mandate-Id': mandates.acme }
      expect((await send('/api/crm/contacts', { headers })).status).toBe(200)
      const root = await tokenFor(gateway.database, 'root')
      expect(
        (await send(`/system/tokens/${jti}`, { method: 'DELETE', headers: bearer(root.token) })).status,
      ).toBe(200)
      await refused('/api/crm/contacts', { headers }, 401)
    })

    it('who says another method or path than the one that is sent', async () => {
      const headers = { ...bearer(bob.token), 'X-Mandate-Id': mandates.acme }
      const overrides = {
        'X-Original-Method': 'GET',
        'X-Forwarded-Method': 'GET',
        'X-Original-URI': '/api/crm/open',
        'X-Forwarded-Uri': '/api/crm/open',
        'X-Original-URL': '/api/crm/open',
        'X-Rewrite-URL': '/api/crm/open',
        'X-HTTP-Method-Override': 'GET',
        'X-HTTP-Method': 'GET',
        'X-Method-Override': 'GET',
      }
      await refused('/api/crm/contacts', { method: 'POST', headers: { ...headers, ...overrides } }, 403)
      for (const [name, value] of Object.entries(overrides))
        await refused('/api/crm/contacts', { method: 'DELETE', headers: { ...headers, [name]: value } }, 403)
      expect(
        (
          await send('/api/crm/open/x', {
            headers: Object.fromEntries(Object.keys(overrides).map((name) => [name, 'smuggled'])),
          })
        ).status,
      ).toBe(200)
      expect(JSON.stringify(service.last().rawHeaders)).not.toContain('smuggled')
    })
  })

  it('a path beside the prefix is no path below it, also where a wider route is public', async () => {
    const wide = await startTestGateway({
      routes: routesTo(service.url) + '  /: { upstream: crm, auth: public }\n',
      environment: { TRUST_PROXY: '1' },
    })
    const before = await startNginx('auth-request.conf', { nodes: [wide.url], service: service.url })
    try {
      for (const path of [
        '/api/crmX/contacts',
        '/api/crm%20/contacts',
        '/api/crm.bak',
        '/api/crm-internal/x',
        '/api/crm%0A',
        '/api/crm;x/contacts',
        '/api/CRM/contacts',
        '/api/crm%2Fcontacts',
        '/api/crmX',
      ]) {
        service.received.length = 0
        await sendLines(before.url, `GET ${path}`)
        // What arrives came through the gateway, by its own route for it, and never past it.
        for (const { headers } of service.received)
          expect([path, headers.via]).toEqual([path, '1.1 mandate-gateway'])
      }
      expect((await sendRequest(before.url, '/api/crm/contacts', {})).status).toBe(401)
      expect((await sendRequest(before.url, '/api/crm', {})).status).toBe(401)
      expect((await sendRequest(before.url, '/api/crm/open/x', {})).status).toBe(200)
      expect(service.last().headers).not.toHaveProperty('via')
    } finally {
      await before.stop()
      await wide.stop()
    }
  })

  it('a service receives no header from which common software takes identity, address, host or path', async () => {
    const names = [
      'X-Original-Method',
      'X-Remote-User',
      'Client-IP',
      'X-Script-Name',
      'SSL-Client-Cert',
      'X-Forwarded',
      'X-Originating-IP',
      'X-Remote-IP',
      'X-Remote-Addr',
      'Fastly-Client-IP',
      'X-Scheme',
      'X-Url-Scheme',
      'Front-End-Https',
      'X-HTTP-Host-Override',
      'Remote-User',
      'X-Forwarded-User',
    ]
    expect(
      (await send('/api/crm/open/x', { headers: Object.fromEntries(names.map((name) => [name, 'forged'])) }))
        .status,
    ).toBe(200)
    expect(JSON.stringify(service.last().rawHeaders)).not.toContain('forged')
  })

  describe('paths', () => {
    /** Nobody is signed in, so that only what is below `/api/crm/open` may arrive. */
    const arrivals = async (target: string): Promise<string[]> => {
      const before = service.received.length
      await sendLines(proxy.url, `GET ${target}`)
      return service.received.slice(before).map(({ url }) => url)
    }

    it.each([
      '/api/crm/open',
      '/api/crm/open/a%20b?q=%2F..%2F',
      '/api/crm/%6fpen/x',
      '/api/crm/open/%C3%A4',
      '/api/crm/open/x?a=//../b',
      '/api/crm/open/x;v=1',
    ])('%s arrives as it was sent, which is what was decided on', async (target) => {
      expect(await arrivals(target)).toEqual([target])
    })

    it.each([
      '/api/crm/open/../secret',
      '/api/crm/open/%2e%2e/secret',
      '/api/crm/open/..%2fsecret',
      '/api/crm/open%2f..%2fsecret',
      '/api/crm/open//../../secret',
      '/api/crm//secret',
      '//api/crm/open',
      '/api/crm/open//x',
      '/api/crm/open/..;/secret',
      '/api/crm/open/.;x/',
      '/api/crm/open\\..\\secret',
      '/api/crm/open/%5c..%5csecret',
      '/api/crm/open/%252e%252e/secret',
      '/api/crm/open#/../secret',
      '/api/crm/open/./x',
      '/api/crm/secret/../open',
      '/api/crm/../admin',
      '/auth/../api/crm/secret',
      '/auth/%2e%2e/api/crm/secret',
      '/x/../api/crm/open',
      '/api/crm/open/%00',
      '/api/crm/open/%zz',
      '/api/crm/open/..',
      '/api/crm;x/open',
      'http://other.example/api/crm/open/../secret',
      'http://other.example/api/crm/secret',
      '/API/CRM/open',
      '/api/crm%2fopen',
      '/%61pi//crm/open',
      '/api/crm/open/%u002e',
      '/api/crm/ope%6e/%2E%2E/secret',
      '/_verify',
      '/_verify/x',
    ])('%s reaches no service', async (target) => {
      expect(await arrivals(target)).toEqual([])
    })

    it('whatever the pieces a path is made of: nothing arrives but what was decided on', async () => {
      const piece = fc.constantFrom(
        '/',
        '//',
        '.',
        '..',
        '%2e',
        '%2E%2e',
        '%2f',
        '%5c',
        '\\',
        ';',
        '?',
        '#',
        '%',
        '%25',
        '%252f',
        '%00',
        '%c0%ae',
        'api',
        'crm',
        'open',
        'secret',
        '%6fpen',
        'auth',
        '_verify',
        '/api/crm/open',
        '/api/crm/secret',
        '*',
      )
      await fc.assert(
        fc.asyncProperty(
          fc.array(piece, { minLength: 1, maxLength: 8 }),
          fc.constantFrom('/', '/api/crm/open', '/api/crm/', 'http://x'),
          async (pieces, start) => {
            for (const url of await arrivals(start + pieces.join(''))) {
              // throws where two programs could read it differently
              const path = normalisePath(url.split('?')[0] ?? '')
              expect(path === '/api/crm/open' || path.startsWith('/api/crm/open/')).toBe(true)
            }
          },
        ),
        { numRuns: 1500 },
      )
    })
  })

  describe('bodies and streams', () => {
    it('a body arrives whole though the question has none, whatever its framing', async () => {
      const bytes = randomBytes(20_000_000)
      service.answerWith((req, res) => {
        const hash = createHash('sha256')
        req.on('data', (chunk: Buffer) => hash.update(chunk))
        req.on('end', () => res.end(hash.digest('hex')))
      })
      const expected = createHash('sha256').update(bytes).digest('hex')
      for (const framing of [{ 'Content-Length': bytes.length }, { 'Transfer-Encoding': 'chunked' }]) {
        expect(
          (
            await send('/api/crm/upload', {
              method: 'POST',
              headers: { ...asAlice(), ...framing },
              body: bytes,
            })
          ).text,
        ).toBe(expected)
      }
    })

    it('a body that is refused leaves the connection to the gateway in order for the next', async () => {
      for (let call = 0; call < 5; call += 1) {
        expect(
          (
            await send('/api/crm/contacts', {
              method: 'POST',
              headers: { 'Content-Type': 'application/json' },
              body: '{"name":"x"}',
            })
          ).status,
        ).toBe(401)
        expect(
          (
            await send('/api/crm/contacts', {
              method: 'POST',
              headers: { ...asAlice(), Expect: '100-continue' },
              body: 'GET /smuggled HTTP/1.1\r\n\r\n',
            })
          ).status,
        ).toBe(200)
        expect(service.last()).toMatchObject({ method: 'POST', body: 'GET /smuggled HTTP/1.1\r\n\r\n' })
      }
      expect(gateway.logLines.join('')).not.toContain('smuggled')
    })

    it('a chunk of an upload arrives before the client has ended it', async () => {
      const first = new Promise<string>((resolve) =>
        service.answerWith((req, res) => {
          req.once('data', (chunk: Buffer) => resolve(chunk.toString()))
          req.on('end', () => res.end())
        }),
      )
      const { req, response } = beginRequest(proxy.url, '/api/crm/upload', {
        method: 'POST',
        headers: { ...asAlice(), 'Transfer-Encoding': 'chunked' },
      })
      req.write('one')
      expect(await first).toBe('one')
      req.end()
      expect((await response).statusCode).toBe(200)
    })

    it('an event arrives before the next one is sent', async () => {
      const theirs = new Promise<ServerResponse>((resolve) =>
        service.answerWith((_req, res) => {
          res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
          resolve(res)
        }),
      )
      const { req, response } = beginRequest(proxy.url, '/api/crm/events', { headers: asAlice() })
      req.end()
      const [res, stream] = [await response, await theirs]
      for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
        stream.write(event)
        expect(String(((await once(res, 'data')) as [Buffer])[0])).toBe(event)
      }
      stream.end()
    })

    it('a WebSocket is opened for who may, and not for another site’s page with the caller’s cookie', async () => {
      const sockets = new WebSocketServer({ server: service.server })
      sockets.on('connection', (socket) =>
        socket.on('message', (data: Buffer) => socket.send(data.toString())),
      )
      const open = (headers: Record<string, string>) =>
        new WebSocket(`${proxy.url.replace('http', 'ws')}/api/crm/ws`, { headers })
      const refusal = async (headers: Record<string, string>) => {
        const socket = open(headers)
        socket.on('error', () => undefined) // the answer is looked at instead
        return ((await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }])[1]
          .statusCode
      }
      const socket = open(asAlice())
      await once(socket, 'open')
      socket.send('hello')
      expect(String((await once(socket, 'message'))[0])).toBe('hello')
      socket.terminate()
      const cookie = { Cookie: `auth_token=${alice.token}`, 'X-Mandate-Id': mandates.acme }
      expect(await refusal({ 'X-Mandate-Id': mandates.acme })).toBe(401)
      expect(await refusal({ ...cookie, Origin: 'https://evil.example' })).toBe(403)
      expect(await refusal({ ...cookie, 'Sec-Fetch-Site': 'cross-site' })).toBe(403)
      const own = open(cookie)
      await once(own, 'open')
      own.terminate()
      sockets.close()
    })

    it('connections to the gateway and to the service are kept', async () => {
      const opened = { gateway: 0, service: 0 }
      gateway.server.on('connection', () => {
        opened.gateway += 1
      })
      service.server.on('connection', () => {
        opened.service += 1
      })
      for (let call = 0; call < 20; call += 1) {
        expect((await send('/api/crm/contacts', { headers: asAlice() })).status).toBe(200)
        expect((await send('/auth/me', { headers: asAlice() })).status).toBe(200)
      }
      expect(opened.gateway).toBeLessThanOrEqual(4)
      expect(opened.service).toBeLessThanOrEqual(2)
    })

    it('only a WebSocket is an upgrade', async () => {
      await sendLines(proxy.url, 'GET /api/crm/open/x', [
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
      ])
      expect(service.last().headers).not.toHaveProperty('upgrade')
      expect(service.last().headers.connection).not.toBe('upgrade')
    })
  })

  describe('answers', () => {
    it.each([401, 403, 404, 500, 502, 503, 504])(
      'a service’s own %i passes through with its body',
      async (status) => {
        service.answerWith((_req, res) =>
          res
            .writeHead(status, { 'Content-Type': 'text/plain', 'Cache-Control': 'public' })
            .end('in the words of the service'),
        )
        const answer = await send('/api/crm/contacts', { headers: asAlice() })
        expect(answer).toMatchObject({ status, text: 'in the words of the service' })
        expect(answer.headers['cache-control']).toBe('no-store')
      },
    )

    it('a service cannot have nginx show the gateway’s answer to its question', async () => {
      service.answerWith((_req, res) => res.writeHead(200, { 'X-Accel-Redirect': '/_verify' }).end('mine'))
      const answer = await send('/api/crm/contacts', { headers: asAlice() })
      expect(answer.text).toBe('mine')
      expect(Object.keys(answer.headers).filter((name) => lowerCase.includes(name))).toEqual([])
    })

    it('while access cannot be checked, 503 that may be tried again, and no service is reached', async () => {
      const before = service.received.length
      const answer = await withoutTable(gateway.database, 'tokens', () =>
        send('/api/crm/contacts', { headers: asAlice() }),
      )
      expect(answer.status).toBe(503)
      expect(answer.headers).toMatchObject({
        'content-type': 'application/problem+json',
        'retry-after': '1',
        'cache-control': 'no-store',
      })
      expect(JSON.parse(answer.text)).toMatchObject({
        code: 'authentication_unavailable',
        requestId: answer.headers['x-request-id'],
      })
      expect(service.received).toHaveLength(before)
    })

    it('what no location claims is the gateway’s, and nobody but nginx asks /auth/verify', async () => {
      const login = await send('/auth/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ username: 'alice', password: 'demo-password-1' }),
      })
      const cookie = String(login.headers['set-cookie']?.[0]?.split(';')[0])
      expect((await send('/auth/me', { headers: { Cookie: cookie } })).status).toBe(200)
      expect(
        (await send('/api/crm/contacts', { headers: { Cookie: cookie, 'X-Mandate-Id': mandates.acme } }))
          .status,
      ).toBe(200)
      expect(JSON.parse((await send('/nowhere')).text)).toMatchObject({ status: 404, code: 'not_found' })
      for (const path of ['/auth/verify', '/auth/%76erify', '/auth/verify/api/crm/contacts', '/_verify']) {
        const answer = await send(path, {
          headers: { ...asAlice(), 'X-Original-URI': '/api/crm/contacts', 'X-Original-Method': 'GET' },
        })
        expect([path, answer.status]).toEqual([path, 404])
        expect(Object.keys(answer.headers).filter((name) => lowerCase.includes(name))).toEqual([])
      }
    })
  })
})

// needs: verify
describe('what nginx makes of the gateway’s other answers', () => {
  let service: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    service = await startUpstream()
    gateway = await startTestGateway({
      routes: routesTo(service.url),
      environment: { TRUST_PROXY: '1', RATE_LIMIT_ADDRESS: '3/600s' },
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await service.stop()
  })

  /** Runs nginx with one thing changed. */
  async function withNginx<Result>(
    work: (url: string) => Promise<Result>,
    {
      nodes = [gateway.url],
      replacements = {},
    }: { nodes?: string[]; replacements?: Record<string, string> } = {},
  ): Promise<Result> {
    const proxy = await startNginx('auth-request.conf', { nodes, service: service.url, replacements })
    try {
      return await work(proxy.url)
    } finally {
      await proxy.stop()
    }
  }

  it('a limit is 403 with Retry-After, counted by the client’s address', async () => {
    await withNginx(async (url) => {
      const answers = []
      for (let call = 0; call < 4; call += 1)
        answers.push(
          await sendRequest(url, '/api/crm/open/x', {
            from: '127.0.0.41',
            headers: { 'X-Forwarded-For': `127.0.1.${call}` },
          }),
        )
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 403])
      expect(Number(answers[3]?.headers['retry-after'])).toBeGreaterThan(0)
      expect((await sendRequest(url, '/api/crm/open/x', { from: '127.0.0.42' })).status).toBe(200)
    })
  })

  it('without the error_page for it, a gateway without its database is a 500', async () => {
    const answer = await withNginx(
      (url) =>
        withoutTable(
          gateway.database,
          'tokens',
          async () =>
            await sendRequest(url, '/api/crm/mine/x', {
              from: '127.0.0.43',
              headers: bearer((await tokenFromNowhere()).token),
            }),
        ),
      { replacements: { 'error_page 500 = @unavailable;': '' } },
    )
    expect(answer.status).toBe(500)
  })

  it('no gateway at all is 503, and lets nobody in', async () => {
    const before = service.received.length
    const answer = await withNginx((url) => sendRequest(url, '/api/crm/open/x'), {
      nodes: ['http://127.0.0.1:1'],
    })
    expect(answer.status).toBe(503)
    expect(service.received).toHaveLength(before)
  })

  it('no service is 503, in the same form', async () => {
    const away = await startUpstream()
    await away.stop()
    const proxy = await startNginx('auth-request.conf', { nodes: [gateway.url], service: away.url })
    const answer = await sendRequest(proxy.url, '/api/crm/open/x', { from: '127.0.0.44' })
    expect(answer.status).toBe(503)
    expect(JSON.parse(answer.text)).toMatchObject({
      code: 'upstream_unavailable',
      requestId: answer.headers['x-request-id'],
    })
    await proxy.stop()
  })

  it('a gateway that trusts no proxy refuses everything', async () => {
    const untrusting = await startTestGateway({
      database: gateway.database,
      routes: routesTo(service.url),
      environment: { TRUST_PROXY: '0' },
    })
    const before = service.received.length
    expect(
      (await withNginx((url) => sendRequest(url, '/api/crm/open/x'), { nodes: [untrusting.url] })).status,
    ).toBe(403)
    expect(service.received).toHaveLength(before)
    await untrusting.stop()
  })

  /** A token whose row nobody can look for at the moment. */
  const tokenFromNowhere = async () =>
    await tokenFor({ ...gateway.database, sql: () => Promise.resolve([]) }, 'alice')
})
