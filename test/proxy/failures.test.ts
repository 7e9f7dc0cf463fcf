import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines, type RawResponse } from '../support/raw-http.js'

/** An upstream of raw sockets, which speaks HTTP as badly as a test wants. */
async function startRude() {
  let behave: (socket: Socket) => void = (socket) => socket.destroy()
  const sockets = new Set<Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => behave(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answerBy: (next: typeof behave) => {
      behave = next
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('when the upstream fails', () => {
  let rude: Awaited<ReturnType<typeof startRude>>
  let gateway: TestGateway
  beforeAll(async () => {
    rude = await startRude()
    gateway = await startTestGateway({
      routes: `
upstreams:
  rude: { targets: ['${rude.url}'] }
  refused: { targets: ['http://127.0.0.1:${await closedPort()}'] }
  nameless: { targets: ['http://no-such-host.invalid:9'] }
  demo: { targets: [demo] }
routes:
  /rude: { upstream: rude, auth: public }
  /quick: { upstream: rude, auth: public, timeoutMs: 200 }
  /refused: { upstream: refused, auth: public }
  /nameless: { upstream: nameless, auth: public }
  /demo: { upstream: demo, auth: public }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await rude.stop()
  })

  function ask(path: string, behave: (socket: Socket) => void = () => undefined): Promise<RawResponse> {
    rude.answerBy(behave)
    return sendLines(gateway.url, `GET ${path}`)
  }

  function expectProblem(answer: RawResponse, status: number, code: string) {
    expect([answer.status, codeOf(answer)]).toEqual([status, code])
    expect(answer.headers['content-type']?.[0]).toContain('application/problem+json')
    expect(answer.text).not.toMatch(/127\.0\.0\.1:|ECONN|ENOTFOUND|socket|undici|node:|at .*\.js/i)
  }

  it('a refused connection is 502 upstream_failed', async () =>
    expectProblem(await ask('/refused'), 502, 'upstream_failed'))
  it('an unknown host is 502 upstream_failed', async () =>
    expectProblem(await ask('/nameless'), 502, 'upstream_failed'))
  it('a connection that is closed without an answer is 502 upstream_failed', async () =>
    expectProblem(await ask('/rude', (socket) => socket.end()), 502, 'upstream_failed'))
  it('a connection that is reset is 502 upstream_failed', async () =>
    expectProblem(await ask('/rude', (socket) => socket.resetAndDestroy()), 502, 'upstream_failed'))
  it('an answer that is not HTTP is 502 upstream_failed', async () =>
    expectProblem(
      await ask('/rude', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n')),
      502,
      'upstream_failed',
    ))
  it('half a head is 502 upstream_failed', async () =>
    expectProblem(
      await ask('/rude', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Len')),
      502,
      'upstream_failed',
    ))
  it('a target that does not run is 503 upstream_unavailable with Retry-After', async () => {
    const answer = await ask('/demo')
    expectProblem(answer, 503, 'upstream_unavailable')
    expect(Number(answer.headers['retry-after']?.[0])).toBeGreaterThan(0)
  })
  it('an upstream that does not answer in the route’s time is 504 upstream_timeout', async () =>
    expectProblem(await ask('/quick'), 504, 'upstream_timeout'))

  it('an upstream that never takes the body is 504 too', async () => {
    rude.answerBy(() => undefined)
    const answer = await sendLines(gateway.url, 'POST /quick', ['Content-Length: 5'], 'hello')
    expect(answer.status).toBe(504)
  })

  it.each([
    ['of announced length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ])(
    'an answer %s that is cut in the middle is cut for the client too, never ended as if it were whole',
    async (_, half) => {
      const answer = await ask('/rude', (socket) => socket.write(half, () => socket.destroySoon()))
      expect(answer.status).toBe(200)
      expect(answer.text).toMatch(/half/)
      expect(answer.text).not.toMatch(/\r\n0\r\n\r\n$/)
      expect(answer.text).not.toMatch(/upstream_failed/)
    },
  )

  it('an answer that stalls in the middle is cut after the route’s time', async () => {
    const answer = await ask('/quick', (socket) =>
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
    )
    expect(answer.status).toBe(200)
    expect(answer.text).not.toMatch(/\r\n0\r\n\r\n$/)
  })

  it('an answer that fails before its first byte leaves nothing of itself in the 502', async () => {
    const answer = await ask('/rude', (socket) => {
      socket.write(
        'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: "theirs"\r\nSet-Cookie: theirs=1\r\n' +
          'Cache-Control: public, max-age=600\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n' +
          'Content-Length: 100\r\n\r\n',
        () => socket.resetAndDestroy(),
      )
    })
    expectProblem(answer, 502, 'upstream_failed')
    for (const name of ['content-encoding', 'etag', 'set-cookie', 'last-modified'])
      expect(answer.headers).not.toHaveProperty(name)
    expect(answer.headers['cache-control']).toEqual(['no-store'])
  })

  it('the next request is served, on the same connection', async () => {
    await ask('/rude', (socket) => socket.resetAndDestroy())
    expect(
      (await ask('/rude', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))).body,
    ).toBe('ok')
  })

  it('each failure is one access line with its code', async () => {
    await sendLines(gateway.url, 'GET /refused', ['X-Request-Id: failing-1'])
    const lines = gateway.logLines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line.requestId === 'failing-1' && line.message === 'request')
    expect(lines).toMatchObject([
      { route: '/refused', status: 502, granted: false, reason: 'upstream_failed' },
    ])
  })
})
