import { once } from 'node:events'
import { request, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, openSocket, parseResponse, sendLines } from '../support/raw-http.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** Callers are told apart by their addresses, which a trusted proxy names. */
const [alice, bob] = ['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-For: 192.0.2.2']

describe('an upstream that several people use', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let database: TestDatabase
  const waiting = new Set<ServerResponse>()
  const routes = (limits = '{}', more = '') => `
upstreams: { own: { targets: ['${upstream.url}'], limits: ${limits}, ${more} } }
routes:
  /slow: { upstream: own, auth: public, timeoutMs: 1000 }
  /fast: { upstream: own, auth: public }
`
  const start = async (limits?: string, more?: string) => {
    gateway = await startTestGateway({
      database,
      routes: routes(limits, more),
      environment: { TRUST_PROXY: '1' },
    })
  }
  const ask = (line: string, caller: string, ...lines: string[]) =>
    sendLines(gateway.url, line, [caller, ...lines])
  /** Leaves requests open, and gives back their sockets once the upstream has them. */
  async function hold(count: number, head: string) {
    const before = waiting.size
    const sockets = await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = await openSocket(gateway.url)
        socket.write(`${head}\r\nHost: x\r\n${alice}\r\n\r\n`)
        return socket
      }),
    )
    await until(() => Promise.resolve(waiting.size === before + count), 20_000)
    return sockets
  }
  const status = (field: 'running' | 'streams') =>
    until(async () => {
      const scraped = await fetch(`${gateway.url}/metrics`).then((answer) => answer.text())
      const line = scraped.split('\n').find((one) => one.startsWith(`gateway_upstream_${field}{`))
      return line === undefined ? undefined : { value: Number(line.split(' ').at(-1)) }
    })
  const untilStatus = (field: 'running' | 'streams', value: number) =>
    until(async () => (await status(field)).value === value)

  beforeAll(async () => {
    upstream = await startUpstream()
    database = await createTestDatabase()
  })
  beforeEach(() => {
    waiting.clear()
    upstream.answerWith((req, res) => {
      if (req.url === '/fast') res.end('ok')
      else if (req.url === '/fast/events') {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n')
        waiting.add(res)
      } else waiting.add(res)
    })
  })
  afterEach(async () => {
    for (const res of waiting) res.destroy()
    await gateway.stop()
  })
  afterAll(async () => {
    await upstream.stop()
    await database.drop()
  })

  it('serves everybody else while one caller’s slow requests time out by the hundred', async () => {
    await start()
    const slow: Promise<number>[] = []
    const fast: number[] = []
    for (let round = 0; round < 30; round += 1) {
      for (let count = 0; count < 10; count += 1)
        slow.push(ask('GET /slow', alice).then((answer) => answer.status))
      for (let count = 0; count < 5; count += 1) fast.push((await ask('GET /fast', bob)).status)
      await wait(50)
    }
    const ends = await Promise.all(slow)
    expect(ends.filter((end) => end === 504).length).toBeGreaterThan(100)
    expect(fast).toEqual(fast.map(() => 200))
  })

  it('gives one caller 128 requests at a time, then says 429 to that caller and to no other', async () => {
    await start()
    await hold(128, 'GET /fast/waiting HTTP/1.1')
    const refused = await ask('GET /fast', alice)
    expect([refused.status, codeOf(refused), refused.headers['retry-after']]).toEqual([
      429,
      'rate_limited',
      ['1'],
    ])
    expect((await ask('GET /fast', bob)).status).toBe(200)
    for (const res of waiting) res.end()
    await untilStatus('running', 0)
    expect((await ask('GET /fast', alice)).status).toBe(200)
  })

  it('has room for requests beside streams: 600 event streams of one caller leave everybody served', async () => {
    await start('{ streamsPerCaller: 600 }')
    for (let round = 0; round < 6; round += 1) {
      await hold(100, 'GET /fast/events HTTP/1.1')
      await untilStatus('streams', 100 * (round + 1))
    }
    expect((await status('running')).value).toBe(0)
    expect([(await ask('GET /fast', alice)).status, (await ask('GET /fast', bob)).status]).toEqual([200, 200])
    for (const res of waiting) res.end()
    await untilStatus('streams', 0)
  })

  it('counts a caller’s streams beyond their bound as requests, so that only that caller gets 429', async () => {
    await start('{ streamsPerCaller: 5, requestsPerCaller: 3 }')
    await hold(5, 'GET /fast/events HTTP/1.1')
    await untilStatus('streams', 5)
    await hold(3, 'GET /fast/events HTTP/1.1')
    await untilStatus('running', 3)
    expect([(await ask('GET /fast', alice)).status, (await ask('GET /fast', bob)).status]).toEqual([429, 200])
  })

  it('opens no more connections to a target than it may', async () => {
    await start('{ connections: 4 }')
    await hold(4, 'GET /fast/waiting HTTP/1.1')
    const refused = await ask('GET /fast', bob)
    expect([refused.status, codeOf(refused)]).toEqual([503, 'overloaded'])
    const open = () =>
      new Promise<number>((resolve) => {
        upstream.server.getConnections((_error, count) => resolve(count))
      })
    let most = await open()
    for (const res of waiting) res.end()
    await untilStatus('running', 0)
    for (let round = 0; round < 25; round += 1) {
      const answers = await Promise.all(Array.from({ length: 4 }, () => ask('GET /fast', bob)))
      expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200])
      most = Math.max(most, await open())
    }
    expect(most).toBeLessThanOrEqual(4)
  })

  it.each([
    ['a body of a known length', 'Content-Length: 1000000', ['x']],
    ['chunks of one byte', 'Transfer-Encoding: chunked', ['1\r\nx\r\n']],
    ['a chunk’s extension', 'Transfer-Encoding: chunked', ['5;a', 'b']],
    ['trailers', 'Transfer-Encoding: chunked', ['5\r\nhello\r\n0\r\nX-Trailer: ', 'x']],
  ])(
    'ends an upload that trickles in as %s, and keeps one that is slow but fast enough',
    async (_what, framing, pieces) => {
      await start('{ leastBodyRate: { bytesPerSecond: 20, windowMs: 700 } }')
      const trickle = async (piece: string, first: string) => {
        const socket = await openSocket(gateway.url)
        let text = ''
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1')
        })
        socket.write(
          `POST /fast/upload HTTP/1.1\r\nHost: x\r\n${alice}\r\nConnection: close\r\n${framing}\r\n\r\n${first}`,
        )
        const timer = setInterval(() => socket.write(piece), 100)
        return { socket, text: () => text, stop: () => clearInterval(timer) }
      }
      const slow = await trickle(pieces.at(-1)!, pieces[0]!)
      const enough = framing.startsWith('Content')
        ? await trickle('x'.repeat(100), 'x')
        : await trickle(`64\r\n${'x'.repeat(100)}\r\n`, '')
      await until(() => Promise.resolve(slow.text() !== ''))
      const answer = parseResponse(slow.text())
      expect([answer.status, JSON.parse(answer.body)]).toEqual([
        400,
        expect.objectContaining({
          code: 'request_malformed',
          detail: 'The body came more slowly than 20 bytes a second',
        }),
      ])
      slow.stop()
      await wait(1500)
      expect(enough.text()).toBe('')
      enough.stop()
      enough.socket.destroy()
      slow.socket.destroy()
    },
  )

  it('never blames a client for a body that the service does not take', async () => {
    await start('{ leastBodyRate: { bytesPerSecond: 1000000, windowMs: 200 } }')
    upstream.answerWith((req, res) => {
      req.pause()
      setTimeout(() => {
        let length = 0
        req.on('data', (chunk: Buffer) => {
          length += chunk.length
        })
        req.on('end', () => res.end(String(length)))
        req.resume()
      }, 1500)
    })
    const sent = request(`${gateway.url}/fast/upload`, {
      method: 'POST',
      headers: { 'X-Forwarded-For': '192.0.2.1', 'Content-Length': 30_000_000 },
    })
    sent.end(Buffer.alloc(30_000_000))
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    expect([answer.statusCode, String((await answer.toArray())[0])]).toEqual([200, '30000000'])
  })
})
