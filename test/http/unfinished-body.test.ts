import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, openSocket, parseResponse, sendLines, type RawResponse } from '../support/raw-http.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const mebibyte = 1024 * 1024
const json = 'Content-Type: application/json'

describe('a body that is not whole', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] }, none: { targets: [demo] } }
routes:
  /public: { upstream: own, auth: public }
  /small: { upstream: own, auth: public, bodyLimit: 1000 }
  /none: { upstream: none, auth: public }
  /private: { upstream: own }
`,
    })
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  const head = (path: string, ...lines: string[]) =>
    [`POST ${path} HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n')

  it.each(['/auth/login', '/auth/token'])(
    'and is already over 1 MiB is answered 413 before its end, and its connection is closed (%s)',
    async (path) => {
      const socket = await openSocket(gateway.url)
      socket.write(head(path, json, 'Transfer-Encoding: chunked'))
      const feeding = setInterval(() => {
        if (socket.writable) socket.write(`10000\r\n${'x'.repeat(0x10000)}\r\n`)
      }, 2)
      try {
        const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(10_000) })) as [Buffer]
        expect(parseResponse(chunk.toString('latin1')).status).toBe(413)
        await once(socket, 'close', { signal: AbortSignal.timeout(10_000) })
      } finally {
        clearInterval(feeding)
        socket.destroy()
      }
    },
    25_000,
  )

  it.each(['/public', '/auth/login'])(
    'is waited for with a time limit, which ends with the body (%s)',
    async (path) => {
      const accepted = once(gateway.server, 'connection') as Promise<[Socket]>
      const socket = await openSocket(gateway.url)
      const [theirs] = await accepted
      socket.write(head(path, json, 'Content-Length: 10') + '{')
      await until(() => Promise.resolve(theirs.bytesRead > 0 || undefined))
      expect(theirs.timeout).toBeGreaterThan(0)
      expect(theirs.timeout).toBeLessThanOrEqual(60_000)
      theirs.setTimeout(20) // waits less than it would
      await once(socket, 'close')
    },
  )

  it('once it is whole gives its request all the time that its route has', async () => {
    let begun: () => void = () => undefined
    const waiting = new Promise<void>((resolve) => {
      begun = resolve
    })
    let release: () => void = () => undefined
    upstream.answerWith((req, res) => {
      req.resume().once('end', begun)
      release = () => {
        res.end('late')
      }
    })
    const accepted = once(gateway.server, 'connection') as Promise<[Socket]>
    const socket = await openSocket(gateway.url)
    const [theirs] = await accepted
    socket.write(head('/public', 'Connection: close', 'Content-Length: 4') + 'body')
    await waiting
    expect(theirs.timeout).toBe(0)
    release()
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    expect(parseResponse(chunk.toString('latin1')).body).toBe('late')
  })

  describe('is read on after the answer, so that a client that sends first can still read it', () => {
    /** Sends all of it, and only then looks at what has come. */
    async function sendAllThenRead(path: string, body: Buffer, ...lines: string[]): Promise<RawResponse> {
      const socket = await openSocket(gateway.url)
      socket.pause()
      const finished = new Promise<void>((resolve) =>
        socket.write(Buffer.concat([Buffer.from(head(path, ...lines)), body]), () => resolve()),
      )
      await finished
      socket.resume()
      const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(5000) })) as [Buffer]
      socket.destroy()
      return parseResponse(chunk.toString('latin1'))
    }
    const large = Buffer.alloc(12 * mebibyte, 'x') // more than the buffers of a connection take
    const announced = `Content-Length: ${large.length}`
    const chunked = Buffer.concat([
      Buffer.from(`${large.length.toString(16)}\r\n`),
      large,
      Buffer.from('\r\n0\r\n\r\n'),
    ])

    it('a refusal of the length that a route announces', async () => {
      const answer = await sendAllThenRead('/small', large, announced)
      expect([answer.status, codeOf(answer)]).toEqual([413, 'body_too_large'])
    })

    it('a refusal of a chunked body that turned out too large', async () => {
      expect((await sendAllThenRead('/small', chunked, 'Transfer-Encoding: chunked')).status).toBe(413)
    })

    it('a refusal by the gateway’s own endpoints', async () => {
      expect((await sendAllThenRead('/auth/login', large, json, announced)).status).toBe(413)
      expect((await sendAllThenRead('/auth/login', chunked, json, 'Transfer-Encoding: chunked')).status).toBe(
        413,
      )
      expect(
        (await sendAllThenRead('/auth/login', large, 'Content-Type: text/plain', announced)).status,
      ).toBe(415)
    })

    it('a refusal of the caller, and one without a target', async () => {
      expect((await sendAllThenRead('/private', large, announced)).status).toBe(401)
      expect((await sendAllThenRead('/none', large, announced)).status).toBe(503)
    })

    it('an upstream’s answer that came before it had taken the body', async () => {
      upstream.answerWith((_req, res) => res.writeHead(422, { 'Content-Type': 'text/plain' }).end('enough'))
      const answer = await sendAllThenRead('/public', large, announced)
      expect(answer).toMatchObject({ status: 422, body: 'enough' })
    })
  })

  it('leaves the gateway well', async () => {
    expect((await sendLines(gateway.url, 'POST /public', ['Content-Length: 4'], 'body')).status).toBe(200)
    expect((await sendLines(gateway.url, 'GET /healthz')).status).toBe(200)
  })
})
