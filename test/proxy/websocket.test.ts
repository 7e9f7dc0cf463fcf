import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeJwt } from 'jose'
import { WebSocket } from 'ws'
import type { AccessLine } from '../../src/observability/access-line.js'
import { mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendRaw } from '../support/raw-http.js'
import { until } from '../support/until.js'
import { eventually, within } from '../support/within.js'
import {
  frame,
  openRawWebSocket,
  openWebSocket,
  opcodes,
  startSocketUpstream,
  type SocketUpstream,
} from '../support/web-sockets.js'

const app = 'https://app.example.com'

describe('a WebSocket', () => {
  let upstream: SocketUpstream
  let gateway: TestGateway
  let token: string
  const routes = () => `
upstreams:
  own: { targets: ['${upstream.url}'] }
  quiet: { targets: ['${upstream.url}'], timeouts: { idleMs: 300 } }
  slow: { targets: ['${upstream.url}'], timeouts: { headersMs: 500 } }
  gone: { targets: ['http://127.0.0.1:9'] }
routes:
  /ws: { upstream: own, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
  /open: { upstream: own, auth: public }
  /mine: { upstream: own, auth: required }
  /optional: { upstream: own, auth: optional }
  /quiet: { upstream: quiet, auth: public }
  /slow: { upstream: slow, auth: public }
  /gone: { upstream: gone, auth: public }
  /few: { upstream: own, auth: required, rateLimit: 2/60s }
  /two: { upstream: own, auth: public, concurrency: 2 }
`
  beforeAll(async () => {
    upstream = await startSocketUpstream()
    gateway = await startTestGateway({
      routes: routes(),
      environment: { COHERENCE_LEASE_MS: '5000', CORS_ORIGINS: app },
    })
    ;({ token } = await tokenFor(gateway.database, 'alice'))
  })
  afterAll(async () => {
    await upstream.stop() // with all that is still open
    await gateway.stop()
  })

  const at = (path = '/ws') => gateway.url + path
  const asAlice = () => ({ Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme })
  const codeIn = (body: string) => (JSON.parse(body) as { code: string }).code

  /** Opens one, and answers both of its ends. */
  async function join(path = '/ws', headers: Record<string, string> = asAlice()) {
    const arriving = upstream.next()
    const client = await openWebSocket(at(path), headers)
    expect(client.status).toBe(101)
    return { client, service: await arriving }
  }

  describe('as it passes', () => {
    it.each([0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000])(
      'carries a message of %i bytes both ways',
      async (size) => {
        const {
          client: { socket },
        } = await echoing()
        for (const binary of [true, false]) {
          const sent = Buffer.alloc(size, 'x')
          socket.send(sent, { binary })
          const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean]
          expect([sent.equals(data), isBinary]).toEqual([true, binary])
        }
        socket.close(1000, 'done')
        await once(socket, 'close')
      },
    )

    async function echoing() {
      const client = await openWebSocket(at(), asAlice())
      expect(client.status).toBe(101)
      return { client }
    }

    it('keeps messages in fragments, with pings between them', async () => {
      const service = upstream.nextRaw()
      const client = await openRawWebSocket(at(), asAlice())
      const far = await service
      const parts = [
        frame('one', { isLast: false, masked: true }),
        frame('?', { opcode: opcodes.ping, masked: true }),
        frame('two', { opcode: opcodes.continuation, masked: true }),
      ]
      client.socket.write(Buffer.concat(parts))
      await eventually(() => far.frames().length === 3 || undefined)
      expect(far.bytes().equals(Buffer.concat(parts))).toBe(true)
      far.socket.write(frame('three', { isLast: false }))
      far.socket.write(frame('four', { opcode: opcodes.continuation }))
      await eventually(() => client.frames().length === 2 || undefined)
      expect(
        client.frames().map(({ opcode, isLast, payload }) => [opcode, isLast, payload.toString()]),
      ).toEqual([
        [1, false, 'three'],
        [0, true, 'four'],
      ])
      client.socket.destroy()
      await far.ended
    })

    it('carries pings, pongs, and the close code and reason of either side', async () => {
      const { client, service } = await join()
      client.socket.ping('are you there')
      const [asked] = (await once(service.socket, 'ping')) as [Buffer]
      const [answered] = (await once(client.socket, 'pong')) as [Buffer]
      expect([String(asked), String(answered)]).toEqual(['are you there', 'are you there'])
      service.socket.ping('and you')
      expect(String((await once(service.socket, 'pong'))[0])).toBe('and you')
      client.socket.close(4001, 'client has enough')
      const [code, reason] = (await once(service.socket, 'close')) as [number, Buffer]
      expect([code, String(reason)]).toEqual([4001, 'client has enough'])
      expect(await client.closed).toEqual([4001, 'client has enough'])

      const second = await join()
      second.service.socket.close(4321, 'service has enough')
      expect(await second.client.closed).toEqual([4321, 'service has enough'])
    })

    it('keeps compression as both sides agreed on it', async () => {
      const arriving = upstream.next()
      const client = await openWebSocket(at(), asAlice(), [], { perMessageDeflate: { threshold: 0 } })
      const service = await arriving
      expect(client.socket.extensions).toMatch(/permessage-deflate/)
      expect(service.socket.extensions).toMatch(/permessage-deflate/)
      const text = 'again and '.repeat(50_000)
      client.socket.send(text)
      await eventually(() => service.messages.length === 1 || undefined)
      service.socket.send(text)
      await eventually(() => client.messages.length === 1 || undefined)
      expect([service.messages[0] === text, client.messages[0] === text]).toEqual([true, true])
      client.socket.terminate()
    })

    it('keeps the subprotocol that the service chose, and chooses none itself', async () => {
      upstream.nextUpgrade((req, socket) =>
        socket.end(
          'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n' +
            `X-Offered: ${String(req.headers['sec-websocket-protocol'])}\r\nConnection: close\r\n\r\n`,
        ),
      )
      const refused = await openRawWebSocket(at('/open'), {
        'Sec-WebSocket-Protocol': 'chat, mandate.x, superchat',
      })
      expect(refused.head).toMatch(/X-Offered: chat, mandate\.x, superchat/i)
      refused.socket.destroy()
      const chosen = await openWebSocket(at('/open'), {}, ['chat', 'superchat'])
      expect([chosen.status, chosen.socket.protocol]).toEqual([101, 'chat'])
      chosen.socket.terminate()
    })

    it('loses nothing that was sent right behind the request, or right behind the answer', async () => {
      const early = [frame('first', { masked: true }), frame('second', { masked: true })]
      const service = upstream.nextRaw(Buffer.concat([frame('welcome'), frame('to you')]))
      const client = await openRawWebSocket(at(), asAlice(), Buffer.concat(early))
      const far = await service
      await eventually(() => (far.texts().length === 2 && client.texts().length === 2) || undefined)
      expect(far.bytes().equals(Buffer.concat(early))).toBe(true)
      expect(client.texts()).toEqual(['welcome', 'to you'])
      client.socket.destroy()
    })

    it('loses nothing that was sent while the service still thought about the upgrade', async () => {
      let answer: () => void = () => undefined
      const received: Buffer[] = []
      const arrived = new Promise<void>((resolve) =>
        upstream.nextUpgrade((_req, socket) => {
          socket.on('data', (chunk: Buffer) => received.push(chunk))
          answer = () =>
            socket.write(
              'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
            )
          resolve()
        }),
      )
      const opening = openRawWebSocket(at(), asAlice(), frame('0', { masked: true }))
      await arrived
      answer()
      const client = await opening
      for (let count = 1; count < 100; count += 1) client.socket.write(frame(String(count), { masked: true }))
      await eventually(() => Buffer.concat(received).length === 100 * 7 + 90 || undefined)
      client.socket.destroy()
    })

    it.each(['client', 'service'] as const)(
      'waits for a %s that does not read, instead of filling the gateway’s memory, and loses nothing',
      async (slow) => {
        const arriving = upstream.nextRaw()
        const near = await openRawWebSocket(at(), asAlice())
        const far = await arriving
        const [reader, writer] = slow === 'client' ? [near, far] : [far, near]
        let length = 0
        reader.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
          length += chunk.length
        })
        reader.socket.pause()
        const [block, blocks] = [
          frame(Buffer.alloc(1024 * 1024), { opcode: opcodes.binary, masked: slow === 'service' }),
          64,
        ]
        let written = 0
        const stalled = new Promise<void>((resolve) => {
          const patience = setTimeout(resolve, 300)
          const write = () => {
            patience.refresh()
            if (written === blocks) return
            written += 1
            writer.socket.write(block, write)
          }
          write()
        })
        await stalled
        expect(written).toBeLessThan(blocks / 2)
        reader.socket.resume()
        await eventually(() => length === blocks * block.length || undefined, 10_000)
        near.socket.destroy()
        await far.ended
      },
    )
  })

  describe('when one of its ends goes', () => {
    it('ends the service’s side with a client that is cut off', async () => {
      const { client, service } = await join()
      client.socket.terminate()
      await once(service.socket, 'close')
    })

    it('ends the client’s side with a service that is cut off', async () => {
      const { client, service } = await join()
      service.socket.terminate()
      expect(await client.closed).toEqual([1006, ''])
    })

    it('ends the request at the service with a client that goes while it waits for the upgrade', async () => {
      const gone = new Promise<void>((resolve) =>
        upstream.nextUpgrade((_req, socket) => {
          socket.resume().once('end', () => resolve())
          client.terminate()
        }),
      )
      const client = new WebSocket(at().replace('http', 'ws'), { headers: asAlice() })
      client.on('error', () => undefined)
      await within(1000, gone)
    })

    it('passes the half of a message on that came before the end', async () => {
      const arriving = upstream.nextRaw()
      const client = await openRawWebSocket(at(), asAlice())
      const service = await arriving
      service.socket.end(frame('x'.repeat(1000)).subarray(0, 500))
      await client.ended
      expect(client.bytes().length).toBe(500)
      client.socket.destroy()
    })
  })

  describe('that the service does not grant', () => {
    it.each([
      [403, 'Forbidden'],
      [404, 'Not Found'],
      [503, 'Unavailable'],
    ])('is answered with its %i and body', async (status, reason) => {
      upstream.nextUpgrade((_req, socket) =>
        socket.end(
          `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n` +
            'X-Why: no\r\nConnection: close\r\n\r\nnot for you',
        ),
      )
      const client = await openWebSocket(at(), asAlice())
      expect([client.status, client.body]).toEqual([status, 'not for you'])
    })

    it('is answered with its chunked body, and the connection is closed', async () => {
      upstream.nextUpgrade((_req, socket) =>
        socket.end(
          'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n8\r\n for you\r\n0\r\n\r\n',
        ),
      )
      const client = await openRawWebSocket(at(), asAlice())
      await client.ended
      expect(client.head).toMatch(/^HTTP\/1\.1 403 /)
      expect(client.head).toMatch(/\r\nconnection: close\r\n/i)
      expect(client.bytes().toString()).toMatch(/not[^]* for you/)
      client.socket.destroy()
    })

    it('is answered as what it is when the service knows no upgrade', async () => {
      upstream.nextUpgrade((_req, socket) =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello'),
      )
      const client = await openWebSocket(at(), asAlice())
      expect([client.status, client.body]).toEqual([200, 'hello'])
    })

    it.each([
      ['no HTTP at all', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
      ['an upgrade to nothing', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
      ['nothing', ''],
      ['half a head', 'HTTP/1.1 101 Switching Pro'],
    ])('is 502 when the service answers %s', async (_what, answer) => {
      upstream.nextUpgrade((_req, socket) => socket.end(answer))
      const client = await openWebSocket(at(), asAlice())
      expect([client.status, codeIn(client.body)]).toEqual([502, 'upstream_failed'])
    })

    it('is 502 when the service upgrades to something else', async () => {
      upstream.nextUpgrade((_req, socket) =>
        socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'),
      )
      const client = await openRawWebSocket(at(), asAlice())
      client.socket.destroy()
      expect(client.head).toMatch(/^HTTP\/1\.1 502 /)
    })

    it('is 502 when no service runs, and 504 when none answers in time', async () => {
      expect((await openWebSocket(at('/gone'))).status).toBe(502)
      upstream.nextUpgrade((_req, socket) => socket.resume())
      const client = await openWebSocket(at('/slow'))
      expect([client.status, codeIn(client.body)]).toEqual([504, 'upstream_timeout'])
    })
  })

  describe('before it reaches the service', () => {
    /** The outcome of asking for an upgrade: 101, or the code of the refusal. */
    async function outcome(path: string, headers: Record<string, string>): Promise<number | string> {
      const before = upstream.count()
      const { status, body, socket } = await openWebSocket(at(path), headers)
      socket.terminate()
      expect(upstream.count() - before).toBe(status === 101 ? 1 : 0)
      return status === 101 ? status : codeIn(body)
    }

    it('is refused like any other request', async () => {
      expect(await outcome('/ws', { 'X-Mandate-Id': mandates.acme })).toBe('authentication_required')
      expect(await outcome('/ws', { ...asAlice(), Authorization: 'Bearer nonsense' })).toBe('token_invalid')
      expect(await outcome('/ws', { Authorization: `Bearer ${token}` })).toBe('mandate_required')
      expect(await outcome('/ws', { ...asAlice(), 'X-Mandate-Id': mandates.initech })).toBe(
        'mandate_disabled',
      )
      const { token: erin } = await tokenFor(gateway.database, 'erin')
      expect(await outcome('/ws', { ...asAlice(), Authorization: `Bearer ${erin}` })).toBe('not_a_member')
      expect(await outcome('/nowhere', asAlice())).toBe('not_found')
      expect(await outcome('/open/..%2fws', asAlice())).toBe('path_ambiguous')
    })

    it('is answered like any other request by an endpoint of the gateway’s own', async () => {
      const client = await openWebSocket(at('/auth/me'), asAlice())
      expect([
        client.status,
        (JSON.parse(client.body) as { user: { username: string } }).user.username,
      ]).toEqual([200, 'alice'])
    })

    it('is refused with a cookie when a page of another site asks for it', async () => {
      const cookie = { Cookie: `auth_token=${token}` }
      const own = new URL(gateway.url).origin
      for (const path of ['/mine', '/optional', '/open']) {
        expect(await outcome(path, { ...cookie, Origin: 'https://evil.example' })).toBe('cross_site_request')
        expect(await outcome(path, { ...cookie, 'Sec-Fetch-Site': 'cross-site' })).toBe('cross_site_request')
        expect(await outcome(path, { ...cookie, 'Sec-Fetch-Site': 'same-site', Origin: own })).toBe(
          'cross_site_request',
        )
        expect(await outcome(path, { ...cookie, Origin: 'null' })).toBe('cross_site_request')
        expect(await outcome(path, { ...cookie, Origin: own })).toBe(101)
        expect(await outcome(path, { ...cookie, Origin: own, 'Sec-Fetch-Site': 'same-origin' })).toBe(101)
        expect(await outcome(path, { ...cookie, Origin: app, 'Sec-Fetch-Site': 'cross-site' })).toBe(101)
        expect(await outcome(path, cookie)).toBe(101)
      }
      expect(
        await outcome('/mine', { ...cookie, Origin: 'https://evil.example', Upgrade: 'WebSocket' }),
      ).toBe('cross_site_request')
    })

    it('is granted to another site’s page that brings a token and no cookie', async () => {
      expect(
        await outcome('/mine', {
          Authorization: `Bearer ${token}`,
          Origin: 'https://evil.example',
          'Sec-Fetch-Site': 'cross-site',
        }),
      ).toBe(101)
      expect(await outcome('/open', { Origin: 'https://evil.example' })).toBe(101)
    })

    it('counts against the limit of its route', async () => {
      const { token: bob } = await tokenFor(gateway.database, 'bob')
      const headers = { Authorization: `Bearer ${bob}` }
      expect([
        await outcome('/few', headers),
        await outcome('/few', headers),
        await outcome('/few', headers),
      ]).toEqual([101, 101, 'rate_limited'])
      expect(await outcome('/few', { Authorization: `Bearer ${token}` })).toBe(101)
    })

    it('counts as under way as long as it is open', async () => {
      const two = [await openWebSocket(at('/two')), await openWebSocket(at('/two'))]
      expect(await outcome('/two', {})).toBe('overloaded')
      two[0]?.socket.close()
      await two[0]?.closed
      await until(async () => {
        const { status, socket } = await openWebSocket(at('/two'))
        socket.terminate()
        return status === 101 || undefined
      })
      two[1]?.socket.terminate()
    })
  })

  describe('as it reaches the service', () => {
    it('comes with the caller as the gateway knows them, and nothing that the client made up', async () => {
      const forged = {
        'X-User-Id': users.root,
        X_User_Id: users.root,
        'X-Username': 'root',
        'X-Gateway-Identity': 'forged',
        'X-Role-Ids': 'all',
        'X-Access-Level': 'z',
        'X-Portal-Client-Id': 'x',
        'X-Forwarded-For': '6.6.6.6',
      }
      const arriving = upstream.next()
      const { socket, status } = await openWebSocket(at('/ws?room=1'), {
        ...asAlice(),
        ...forged,
        Cookie: 'theme=dark; refresh_token=secret',
      })
      expect(status).toBe(101)
      const { req } = await arriving
      expect(req.url).toBe('/ws?room=1')
      expect(req.headers).toMatchObject({
        'x-user-id': users.alice,
        'x-username': 'alice',
        'x-mandate-id': mandates.acme,
        'x-access-level': 'a',
        'x-forwarded-for': '127.0.0.1',
        cookie: 'theme=dark',
        upgrade: 'websocket',
      })
      expect(req.headers).not.toHaveProperty('authorization')
      expect(req.headers).not.toHaveProperty('x-portal-client-id')
      expect(JSON.stringify(req.rawHeaders)).not.toMatch(/forged|X_User_Id|6\.6\.6\.6|secret|"all"/)
      expect(decodeJwt(String(req.headers['x-gateway-identity']))).toMatchObject({
        aud: 'own',
        sub: 'alice',
        userId: users.alice,
        mandateId: mandates.acme,
      })
      socket.terminate()
    })

    it('on a public route tells the service no caller', async () => {
      const arriving = upstream.next()
      const { socket } = await openWebSocket(at('/open'), {
        'X-User-Id': users.root,
        'X-Gateway-Identity': 'forged',
        'X-Mandate-Id': mandates.acme,
      })
      const { req } = await arriving
      for (const name of ['x-user-id', 'x-gateway-identity', 'x-mandate-id'])
        expect(req.headers).not.toHaveProperty(name)
      socket.terminate()
    })
  })

  describe('ends by itself', () => {
    it('with 1001 after the silence that its upstream allows, and not while anything passes', async () => {
      const begun = performance.now()
      const { client, service } = await join('/quiet', {})
      for (let round = 0; round < 8; round += 1) {
        client.socket.ping()
        await once(client.socket, 'pong')
        await new Promise((resolve) => {
          setTimeout(resolve, 80)
        })
      }
      const gone = once(service.socket, 'close')
      expect((await client.closed)[0]).toBe(1001)
      expect((await gone)[0]).toBe(1001)
      expect(performance.now() - begun).toBeGreaterThan(8 * 80 + 200)
    })

    it('with 4401 when its token expires, by the row or by the claim', async () => {
      const soon = new Date(Date.now() + 500)
      const { token: byRow } = await tokenFor(gateway.database, 'alice', { row: { expiresAt: soon } })
      const { token: byClaim } = await tokenFor(gateway.database, 'alice', {
        claims: { exp: Math.floor(Date.now() / 1000) + 2 },
      })
      const both = await Promise.all(
        [byRow, byClaim].map((own) => join('/ws', { ...asAlice(), Authorization: `Bearer ${own}` })),
      )
      const ends = await Promise.all(
        both.map(({ client }) =>
          client.closed.then(([code, reason]) => [code, reason, Date.now() >= soon.getTime()]),
        ),
      )
      expect(ends).toEqual([
        [4401, 'token_expired', true],
        [4401, 'token_expired', true],
      ])
    })

    it('with 1001 when the gateway is about to end, whoever opened it', async () => {
      const second = await startTestGateway({
        routes: routes(),
        database: gateway.database,
        environment: { COHERENCE_LEASE_MS: '5000' },
      })
      const arriving = upstream.next()
      const client = await openWebSocket(`${second.url}/ws`, asAlice())
      const service = await arriving
      const gone = once(service.socket, 'close')
      await second.stop()
      expect((await client.closed)[0]).toBe(1001)
      expect((await gone)[0]).toBe(1001)
    })

    it('with 1001 when the gateway is about to end, also on a public route', async () => {
      const second = await startTestGateway({
        routes: routes(),
        database: gateway.database,
        environment: { COHERENCE_LEASE_MS: '5000' },
      })
      const client = await openWebSocket(`${second.url}/open`)
      const stopped = second.stop()
      const end = await within(3000, client.closed).catch(() => 'still open')
      client.socket.terminate()
      await stopped
      expect(end).toEqual([1001, expect.any(String)])
    })
  })

  it('has one access line, written when it ends, with status 101', async () => {
    const lines = () =>
      gateway.logLines
        .map((line) => JSON.parse(line) as Partial<AccessLine>)
        .filter(({ requestId }) => requestId === 'one-web-socket')
    const { client } = await join('/ws', { ...asAlice(), 'X-Request-Id': 'one-web-socket' })
    client.socket.ping()
    await once(client.socket, 'pong')
    expect(lines()).toHaveLength(0)
    client.socket.close()
    await client.closed
    await eventually(() => lines().length > 0 || undefined)
    client.socket.terminate()
    await join().then((another) => another.client.socket.terminate())
    expect(lines()).toHaveLength(1)
    expect(lines()[0]).toMatchObject({
      method: 'GET',
      route: '/ws',
      status: 101,
      user: users.alice,
      mandate: mandates.acme,
      granted: true,
    })
    expect(lines()[0]).not.toHaveProperty('aborted')
  })

  it('that was cut has the reason in its access line', async () => {
    const lines = () =>
      gateway.logLines
        .map((line) => JSON.parse(line) as Partial<AccessLine>)
        .filter(({ requestId }) => requestId === 'cut-web-socket')
    const { token: own } = await tokenFor(gateway.database, 'alice', {
      row: { expiresAt: new Date(Date.now() + 300) },
    })
    const { client } = await join('/ws', {
      ...asAlice(),
      Authorization: `Bearer ${own}`,
      'X-Request-Id': 'cut-web-socket',
    })
    await client.closed
    await eventually(() => lines().length > 0 || undefined)
    expect(lines()).toMatchObject([{ status: 101, reason: 'token_expired' }])
  })

  describe('is the only thing that a connection is upgraded to', () => {
    const ask = (...lines: string[]) => within(3000, sendRaw(gateway.url, [...lines, '', ''].join('\r\n')))

    it('h2c is served in HTTP/1.1, and the connection closed', async () => {
      const before = upstream.count()
      const answer = await ask(
        'GET /open/plain HTTP/1.1',
        'Host: x',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAAP__',
      )
      expect([answer.status, answer.body, answer.headers.connection]).toEqual([
        426,
        'GET /open/plain',
        ['close'],
      ])
      expect(upstream.count()).toBe(before)
    })

    it('so is a POST that asks for a WebSocket, with its body', async () => {
      const before = upstream.count()
      const answer = await ask(
        'POST /open/plain HTTP/1.1',
        'Host: x',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Content-Length: 4',
        '',
        'body',
      )
      expect([answer.status, answer.body]).toEqual([426, 'POST /open/plain'])
      expect(upstream.count()).toBe(before)
    })

    it('and a request behind one that was refused is not begun', async () => {
      const answer = await ask(
        'GET /mine HTTP/1.1',
        'Host: x',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
        '',
        'GET /open/behind HTTP/1.1',
        'Host: x',
      )
      expect(answer.status).toBe(401)
      expect(answer.text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    })
  })
})
