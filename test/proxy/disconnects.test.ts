import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { AccessLine } from '../../src/observability/log-access.js'
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

  const linesOf = (prefix: string) => gateway.logLines.map((line) => JSON.parse(line) as AccessLine & { message: string })
    .filter(({ message, requestId }) => message === 'request' && requestId.startsWith(prefix))

  /** Counts the requests that the upstream has begun and not ended; /stream writes without end, everything else waits. */
  function countOpen() {
    const open = { now: 0, most: 0 }
    upstream.answerWith((req, res) => {
      open.now += 1
      open.most = Math.max(open.most, open.now)
      const timer = setInterval(() => { if (req.url === '/public/stream') res.write('x'.repeat(8192)) }, 5)
      res.once('close', () => {
        clearInterval(timer)
        open.now -= 1
      })
    })
    return open
  }
  const get = (path: string, id: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n\r\n`

  it('ends all its requests at the upstream, those that wait for their turn on its connection too, and each has its line', async () => {
    const open = countOpen()
    const socket = await openSocket(gateway.url)
    socket.write(get('/public/wait', 'piped-0') + [1, 2, 3, 4].map((number) => get('/public/stream', `piped-${number}`)).join(''))
    await until(() => Promise.resolve(open.now === 5 || undefined))
    socket.destroy()
    await until(() => Promise.resolve(open.now === 0 || undefined))
    const lines = await until(() => Promise.resolve(linesOf('piped-').length >= 5 ? linesOf('piped-') : undefined))
    expect(lines.map(({ requestId }) => requestId).sort()).toEqual(['piped-0', 'piped-1', 'piped-2', 'piped-3', 'piped-4'])
    for (const line of lines) expect(line).toMatchObject({ route: '/public', aborted: true })
    expect(lines.find(({ requestId }) => requestId === 'piped-0')).toMatchObject({ status: 499 })
  })

  it('has a line that says so: 499 where nothing was answered, else the status, and aborted', async () => {
    const open = countOpen()
    const [silent, streaming] = [await openSocket(gateway.url), await openSocket(gateway.url)]
    silent.write(get('/public/wait', 'gone-silent'))
    streaming.write(get('/public/stream', 'gone-streaming'))
    await Promise.all([once(streaming, 'data'), until(() => Promise.resolve(open.most === 2 || undefined))])
    for (const socket of [silent, streaming]) socket.destroy()
    const lines = await until(() => Promise.resolve(linesOf('gone-').length >= 2 ? linesOf('gone-') : undefined))
    expect(lines.find(({ requestId }) => requestId === 'gone-silent')).toMatchObject({ status: 499, aborted: true })
    expect(lines.find(({ requestId }) => requestId === 'gone-streaming')).toMatchObject({ status: 200, aborted: true })
    expect(lines).toHaveLength(2)
  })

  it('after it has read its answer was not aborted', async () => {
    const socket = await openSocket(gateway.url)
    socket.write(get('/public/whole', 'whole-1'))
    await once(socket, 'data')
    const [line] = await until(() => Promise.resolve(linesOf('whole-').length > 0 ? linesOf('whole-') : undefined))
    expect(line).toMatchObject({ status: 200, granted: true, aborted: false })
    socket.destroy()
    expect(linesOf('whole-')).toHaveLength(1)
  })

  it('while it was found out who it is leaves nothing behind at the upstream', async () => {
    const open = countOpen()
    const { token } = await tokenFor(gateway.database, 'alice')
    const server = once(gateway.server, 'connection') as Promise<[Socket]>
    const socket = await openSocket(gateway.url)
    socket.write(`GET /private HTTP/1.1\r\nHost: x\r\nX-Request-Id: early-1\r\nAuthorization: Bearer ${token}\r\n\r\n`)
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
    const socket = await openSocket(gateway.url)
    socket.pause()
    socket.write('GET /public HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5))
    await until(() => Promise.resolve(begun === 5 || undefined))
    socket.destroy()
    const since = performance.now()
    await gateway.stop()
    expect(performance.now() - since).toBeLessThan(5000)
    await upstream.stop()
  }, 15_000)
})
