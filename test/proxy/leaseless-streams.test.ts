import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startLine, type Line } from '../faults/support/line.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { openWebSocket, startSocketUpstream, type SocketUpstream } from '../support/web-sockets.js'
import { eventually, within } from '../support/within.js'

const leaseMs = 1000

describe('open streams of a node that holds no lease', () => {
  let database: TestDatabase
  let sockets: SocketUpstream
  let upstream: Upstream
  beforeAll(async () => {
    ;[database, sockets, upstream] = [
      await createTestDatabase(),
      await startSocketUpstream(),
      await startUpstream(),
    ]
  })
  afterAll(async () => {
    await Promise.all([sockets.stop(), upstream.stop()])
    await database.drop()
  })

  const routes = () => `
upstreams:
  sockets: { targets: ['${sockets.url}'] }
  own: { targets: ['${upstream.url}'] }
routes:
  /ws: { upstream: sockets, mandate: required }
  /api: { upstream: own, mandate: required }
  /public: { upstream: own, auth: public }
`

  /** Opens events whose upstream writes as the test says. */
  async function openEvents(url: string, headers: Record<string, string>) {
    const asked = new Promise<ServerResponse>((resolve) =>
      upstream.answerWith((_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 0\n\n')
        resolve(res)
      }),
    )
    const req = httpRequest(url, { headers, agent: false })
    req.end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    const heard = { text: '', lastAt: 0, hasEnded: false }
    res.on('data', (chunk: Buffer) => {
      heard.text += chunk.toString()
      heard.lastAt = performance.now()
    })
    res.on('error', () => undefined)
    const ended = new Promise<void>((resolve) =>
      res.once('close', () => {
        heard.hasEnded = true
        resolve()
      }),
    )
    return { theirs: await asked, heard, ended, stop: () => req.destroy() }
  }

  describe('because its database has fallen silent', () => {
    let line: Line
    let gateway: TestGateway
    beforeAll(async () => {
      line = await startLine(database.url)
      gateway = await startTestGateway({
        database: { ...database, url: line.url },
        routes: routes(),
        environment: { COHERENCE_LEASE_MS: String(leaseMs) },
      })
    })
    afterAll(async () => {
      line.heal()
      await gateway.stop()
      await line.stop()
    })

    it('get nothing more once the lease is over, and end; public streams go on', async () => {
      const { token } = await tokenFor(database, 'alice')
      const headers = { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme }
      const arriving = sockets.next()
      const client = await openWebSocket(`${gateway.url}/ws`, headers)
      const service = await arriving
      const [events, silent, free] = [
        await openEvents(`${gateway.url}/api`, headers),
        await openEvents(`${gateway.url}/api`, headers),
        await openEvents(`${gateway.url}/public`, {}),
      ]
      const last = { down: 0, up: 0 }
      client.socket.on('message', () => {
        last.down = performance.now()
      })
      service.socket.on('message', () => {
        last.up = performance.now()
      })
      const talking = setInterval(() => {
        service.socket.send('down')
        if (client.socket.readyState === client.socket.OPEN) client.socket.send('up')
        for (const one of [events, free]) one.theirs.write('data: 1\n\n')
      }, 5)
      try {
        await eventually(
          () =>
            (client.messages.length > 20 && service.messages.length > 20 && events.heard.text.length > 100) ||
            undefined,
        )
        const since = performance.now()
        line.blackHole()
        const [[code]] = await within(10_000, Promise.all([client.closed, events.ended, silent.ended]))
        const overAt = since + leaseMs + 50
        expect([last.down < overAt, last.up < overAt, events.heard.lastAt < overAt]).toEqual([
          true,
          true,
          true,
        ])
        // until then the lease was good
        expect(Math.min(last.down, last.up, events.heard.lastAt)).toBeGreaterThan(since + 100)
        expect(code).toBe(1013)
        expect(free.heard.hasEnded).toBe(false)
        expect(free.heard.lastAt).toBeGreaterThan(overAt)
      } finally {
        clearInterval(talking)
        free.stop()
      }
    })
  })

  describe('because it is configured without one', () => {
    let gateway: TestGateway
    beforeAll(async () => {
      gateway = await startTestGateway({
        database,
        routes: routes(),
        environment: { COHERENCE_LEASE_MS: '0' },
      })
    })
    afterAll(() => gateway.stop())

    it('are decided again by the database for each piece: a token revoked by SQL gets nothing more', async () => {
      const { token, jti } = await tokenFor(database, 'alice')
      const headers = { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme }
      const arriving = sockets.next()
      const client = await openWebSocket(`${gateway.url}/ws`, headers)
      const service = await arriving
      const events = await openEvents(`${gateway.url}/api`, headers)
      for (let count = 0; count < 50; count += 1) {
        client.socket.send(`up ${count}`)
        service.socket.send(`down ${count}`)
        events.theirs.write(`data: ${count}\n\n`)
      }
      await eventually(
        () =>
          (client.messages.length === 50 &&
            service.messages.length === 50 &&
            events.heard.text.includes('data: 49')) ||
          undefined,
      )
      expect(client.messages).toEqual(Array.from({ length: 50 }, (_, index) => `down ${index}`))
      await database.sql("update tokens set status = 'revoked' where id = $1", [jti])
      service.socket.send('too late')
      client.socket.send('too late')
      events.theirs.write('data: too late\n\n')
      expect(await within(1000, client.closed)).toEqual([4401, 'token_invalid'])
      await within(1000, events.ended)
      expect([...client.messages, ...service.messages, events.heard.text].join()).not.toMatch(/too late/)
    })

    it('an upload stops if its caller has lost the right meanwhile', async () => {
      const { token, jti } = await tokenFor(database, 'alice')
      const arrived: Buffer[] = []
      const gone = new Promise<void>((resolve) =>
        upstream.answerWith((req) => {
          req.on('data', (chunk: Buffer) => arrived.push(chunk))
          req.on('error', () => undefined)
          req.on('close', () => resolve())
        }),
      )
      const req = httpRequest(`${gateway.url}/api`, {
        method: 'POST',
        agent: false,
        headers: {
          Authorization: `Bearer ${token}`,
          'X-Mandate-Id': mandates.acme,
          'Transfer-Encoding': 'chunked',
        },
      })
      req.on('error', () => undefined)
      const response = once(req, 'response') as Promise<[IncomingMessage]>
      req.write('in time')
      await eventually(() => Buffer.concat(arrived).length === 7 || undefined)
      await database.sql("update tokens set status = 'revoked' where id = $1", [jti])
      req.write('too late')
      expect((await response)[0].statusCode).toBe(401)
      await gone
      expect(Buffer.concat(arrived).toString()).toBe('in time')
      req.destroy()
    })

    it('end within a second when they are silent', async () => {
      const { token, jti } = await tokenFor(database, 'alice')
      const headers = { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme }
      const [client, events] = [
        await openWebSocket(`${gateway.url}/ws`, headers),
        await openEvents(`${gateway.url}/api`, headers),
      ]
      await database.sql("update tokens set status = 'revoked' where id = $1", [jti])
      await within(1000, Promise.all([client.closed, events.ended]))
    })
  })
})
