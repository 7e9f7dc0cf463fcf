import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { AccessLine } from '../../src/observability/access-line.js'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { openSocket } from '../support/raw-http.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const table = (url: string) => `
upstreams: { own: { targets: ['${url}'] } }
routes:
  /public: { upstream: own, auth: public }
  /private: { upstream: own }
`

describe('a client that goes away', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({ routes: table(upstream.url) })
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  const linesOf = (prefix: string) =>
    gateway.logLines
      .map((line) => JSON.parse(line) as AccessLine & { message: string })
      .filter(({ message, requestId }) => message === 'request' && requestId.startsWith(prefix))

  /**
   * Counts the requests that the upstream has begun and not ended; /stream writes without end, everything
   * else waits.
   */
  function countOpen() {
    const open = { now: 0, most: 0 }
    upstream.answerWith((req, res) => {
      open.now += 1
      open.most = Math.max(open.most, open.now)
      const timer = setInterval(() => {
        if (req.url === '/public/stream') res.write('x'.repeat(8192))
      }, 5)
      res.once('close', () => {
        clearInterval(timer)
        open.now -= 1
      })
    })
    return open
  }
  const get = (path: string, id: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n\r\n`

  it('ends its own request upstream, and requests queued behind it on the connection never begin', async () => {
    const open = countOpen()
    const socket = await openSocket(gateway.url)
    socket.write(
      get('/public/wait', 'piped-0') +
        [1, 2, 3, 4].map((number) => get('/public/stream', `piped-${number}`)).join(''),
    )
    await until(() => Promise.resolve(open.now === 1 || undefined))
    socket.destroy()
    await until(() => Promise.resolve(open.now === 0 || undefined))
    const lines = await until(() =>
      Promise.resolve(linesOf('piped-').length >= 1 ? linesOf('piped-') : undefined),
    )
    expect(lines).toMatchObject([{ requestId: 'piped-0', route: '/public', status: 499, aborted: true }])
    expect(open.most).toBe(1)
  })

  it('gets the answers of pipelined requests in order, each begun when the one before has ended', async () => {
    let begun = 0
    let now = 0
    upstream.answerWith((req, res) => {
      begun += 1
      now += 1
      res.once('close', () => {
        now -= 1
      })
      if (now > 1) res.statusCode = 500
      setTimeout(() => res.end(`${begun} ${req.url ?? ''}\n`), 10)
    })
    const socket = await openSocket(gateway.url)
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    socket.write([1, 2, 3].map((number) => get(`/public/${number}`, `order-${number}`)).join(''))
    await until(() => Promise.resolve(text.includes('3 /public/3') || undefined))
    expect(text).not.toContain(' 500 ')
    expect(text.match(/\d \/public\/\d/g)).toEqual(['1 /public/1', '2 /public/2', '3 /public/3'])
    socket.destroy()
  })

  it('has an access line with 499 if nothing was sent, else the status, and aborted', async () => {
    const open = countOpen()
    const [silent, streaming] = [await openSocket(gateway.url), await openSocket(gateway.url)]
    silent.write(get('/public/wait', 'gone-silent'))
    streaming.write(get('/public/stream', 'gone-streaming'))
    await Promise.all([once(streaming, 'data'), until(() => Promise.resolve(open.most === 2 || undefined))])
    for (const socket of [silent, streaming]) socket.destroy()
    const lines = await until(() =>
      Promise.resolve(linesOf('gone-').length >= 2 ? linesOf('gone-') : undefined),
    )
    expect(lines.find(({ requestId }) => requestId === 'gone-silent')).toMatchObject({
      status: 499,
      aborted: true,
    })
    expect(lines.find(({ requestId }) => requestId === 'gone-streaming')).toMatchObject({
      status: 200,
      aborted: true,
    })
    expect(lines).toHaveLength(2)
  })

  it('after it has read its answer was not aborted', async () => {
    const socket = await openSocket(gateway.url)
    socket.write(get('/public/whole', 'whole-1'))
    await once(socket, 'data')
    const [line] = await until(() =>
      Promise.resolve(linesOf('whole-').length > 0 ? linesOf('whole-') : undefined),
    )
    expect(line).toMatchObject({ status: 200, granted: true })
    expect(line).not.toHaveProperty('aborted')
    socket.destroy()
    expect(linesOf('whole-')).toHaveLength(1)
  })

  it('during authentication leaves nothing behind at the upstream', async () => {
    const open = countOpen()
    const { token } = await tokenFor(gateway.database, 'alice')
    const server = once(gateway.server, 'connection') as Promise<[Socket]>
    const socket = await openSocket(gateway.url)
    socket.write(
      `GET /private HTTP/1.1\r\nHost: x\r\nX-Request-Id: early-1\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
    const [theirs] = await server
    await until(() => Promise.resolve(theirs.bytesRead > 0 || undefined))
    socket.destroy()
    await until(() => Promise.resolve(linesOf('early-').length === 1 || undefined))
    await until(() => Promise.resolve(open.now === 0 || undefined))
    expect(linesOf('early-')).toMatchObject([{ aborted: true, status: 499 }])
  })
})

describe('an end of the gateway', () => {
  it('waits for no upstream of a client that has gone away', async () => {
    const upstream = await startUpstream()
    let begun = 0
    upstream.answerWith((_req, res) => {
      begun += 1
      res.write('x'.repeat(200_000)) // more than is taken of a response that has to wait for its turn
    })
    const gateway = await startTestGateway({ routes: table(upstream.url) })
    const sockets = await Promise.all([1, 2, 3, 4, 5].map(() => openSocket(gateway.url)))
    for (const socket of sockets) {
      socket.pause()
      socket.write('GET /public HTTP/1.1\r\nHost: x\r\n\r\n')
    }
    await until(() => Promise.resolve(begun === 5 || undefined))
    for (const socket of sockets) socket.destroy()
    const since = performance.now()
    await gateway.stop()
    expect(performance.now() - since).toBeLessThan(5000)
    await upstream.stop()
  }, 15_000)
})
