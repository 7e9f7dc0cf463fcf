import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, openSocket, parseResponse, sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** A promise, and what fulfils it. */
function deferred<Value = void>() {
  let resolve: (value: Value) => void = () => undefined
  const promise = new Promise<Value>((fulfil) => {
    resolve = fulfil
  })
  return { promise, resolve }
}

describe('bodies on their way', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /public: { upstream: own, auth: public }
  /small: { upstream: own, auth: public, bodyLimit: 1000 }
  /empty: { upstream: own, auth: public, bodyLimit: 0 }
  /private: { upstream: own }
`,
    })
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  /** Sends a request whose body the test writes. */
  function begin(method: string, path: string, headers: Record<string, string> = {}) {
    const req = httpRequest(`${gateway.url}${path}`, { method, headers, agent: false })
    req.on('error', () => undefined)
    return { req, response: once(req, 'response').then(([res]) => res as IncomingMessage) }
  }

  it('a chunk of an answer arrives before the upstream has ended it', async () => {
    const theirs = deferred<ServerResponse>()
    upstream.answerWith((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' })
      res.write('data: 1\n\n')
      theirs.resolve(res)
    })
    const { req, response } = begin('GET', '/public')
    req.end()
    const [chunk] = (await once(await response, 'data')) as [Buffer]
    expect(chunk.toString()).toBe('data: 1\n\n')
    const res = await theirs.promise
    expect(res.writableEnded).toBe(false)
    res.write('data: 2\n\n')
    const [second] = (await once(await response, 'data')) as [Buffer]
    expect(second.toString()).toBe('data: 2\n\n')
    res.end()
    await once(await response, 'end')
  })

  it('the head of a stream arrives before its first byte', async () => {
    const theirs = deferred<ServerResponse>()
    upstream.answerWith((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
      theirs.resolve(res)
    })
    const { req, response } = begin('GET', '/public')
    req.end()
    expect((await response).headers['content-type']).toBe('text/event-stream')
    ;(await theirs.promise).end()
    ;(await response).resume()
  })

  it('a chunk of a request arrives before the client has ended it', async () => {
    const first = deferred<string>()
    upstream.answerWith((req, res) => {
      req.once('data', (chunk: Buffer) => first.resolve(chunk.toString()))
      req.on('end', () => res.end('whole'))
      req.resume()
    })
    const { req, response } = begin('POST', '/public', { 'Transfer-Encoding': 'chunked' })
    req.write('one')
    expect(await first.promise).toBe('one')
    req.end('two')
    const res = await response
    const [body] = (await once(res, 'data')) as [Buffer]
    expect(body.toString()).toBe('whole')
  })

  it('a large upload waits for a slow upstream, does not fill the gateway’s memory, and arrives whole', async () => {
    const total = 64 * 1024 * 1024
    const theirs = deferred<IncomingMessage>()
    let length = 0
    upstream.answerWith((req, res) => {
      req.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      req.pause() // listening for data began the flow
      req.on('end', () => res.end(String(length)))
      theirs.resolve(req)
    })
    const { req, response } = begin('POST', '/public', { 'Content-Length': String(total) })
    let taken = 0
    const stalled = deferred()
    const patience = setTimeout(() => stalled.resolve(), 500)
    const source = new Readable({
      read() {
        taken += 256 * 1024
        this.push(Buffer.alloc(256 * 1024))
        if (taken === total) this.push(null)
        patience.refresh() // nobody has taken anything for so long when it runs out
      },
    })
    source.pipe(req)
    const slow = await theirs.promise
    await stalled.promise
    expect(taken).toBeLessThan(total / 2)
    slow.resume()
    const [body] = (await once(await response, 'data')) as [Buffer]
    expect(Number(body.toString())).toBe(total)
  })

  it('a large answer waits for a slow client instead of filling the gateway’s memory, and arrives whole', async () => {
    const total = 64 * 1024 * 1024
    let written = 0
    const stalled = deferred()
    upstream.answerWith((_req, res) => {
      const block = Buffer.alloc(1024 * 1024)
      const write = () => {
        while (written < total) {
          written += block.length
          if (!res.write(block)) {
            const timer = setTimeout(() => stalled.resolve(), 500) // nobody has taken anything for so long
            res.once('drain', () => {
              clearTimeout(timer)
              write()
            })
            return
          }
        }
        stalled.resolve()
        res.end()
      }
      write()
    })
    const { req, response } = begin('GET', '/public')
    req.end()
    const res = await response
    await stalled.promise
    expect(written).toBeLessThan(total / 2)
    let length = 0
    res.on('data', (chunk: Buffer) => {
      length += chunk.length
    })
    await once(res, 'end')
    expect(length).toBe(total)
  })

  it('a client that goes away ends the request at the upstream, while it waits for the answer', async () => {
    const [begun, gone] = [deferred(), deferred()]
    upstream.answerWith((_req, res) => {
      begun.resolve()
      res.once('close', () => gone.resolve())
    })
    const { req, response } = begin('GET', '/public')
    response.catch(() => undefined)
    req.end()
    await begun.promise
    req.destroy()
    await gone.promise
  })

  it('a client that goes away ends the request at the upstream, in the middle of the answer', async () => {
    const gone = deferred()
    upstream.answerWith((_req, res) => {
      res.write('half')
      res.once('close', () => gone.resolve())
    })
    const { req, response } = begin('GET', '/public')
    req.end()
    await once(await response, 'data')
    req.destroy()
    await gone.promise
  })

  it('a client that goes away in the middle of its upload leaves the upstream no whole request', async () => {
    const outcome = deferred<string>()
    upstream.answerWith((req) => {
      req.on('end', () => outcome.resolve('whole'))
      req.on('error', () => outcome.resolve('cut'))
      req.once('data', () => clientSocket.resolve())
      req.resume()
    })
    const clientSocket = deferred()
    const { req, response } = begin('POST', '/public', { 'Transfer-Encoding': 'chunked' })
    response.catch(() => undefined)
    req.write('half')
    await clientSocket.promise
    req.destroy()
    expect(await outcome.promise).toBe('cut')
  })

  describe('a route’s bodyLimit', () => {
    it('is met by a body of exactly that length, announced or chunked', async () => {
      expect(
        (await sendLines(gateway.url, 'POST /small', ['Content-Length: 1000'], 'x'.repeat(1000))).status,
      ).toBe(200)
      expect(upstream.last().body).toHaveLength(1000)
      expect(
        (
          await sendLines(
            gateway.url,
            'POST /small',
            ['Transfer-Encoding: chunked'],
            `3e8\r\n${'x'.repeat(1000)}\r\n0\r\n\r\n`,
          )
        ).status,
      ).toBe(200)
      expect(upstream.last().body).toHaveLength(1000)
      expect((await sendLines(gateway.url, 'POST /empty', ['Content-Length: 0'])).status).toBe(200)
    })

    it('refuses an announced body that is longer, before a byte of it is sent on', async () => {
      const before = upstream.received.length
      const answer = await sendLines(gateway.url, 'POST /small', ['Content-Length: 1001'], 'x'.repeat(1001))
      expect([answer.status, codeOf(answer)]).toEqual([413, 'body_too_large'])
      expect((await sendLines(gateway.url, 'POST /empty', ['Content-Length: 1'], 'x')).status).toBe(413)
      expect(upstream.received).toHaveLength(before)
    })

    it('refuses a chunked body that turns out longer, and the upstream sees no whole one', async () => {
      const before = upstream.received.length
      const answer = await sendLines(
        gateway.url,
        'POST /small',
        ['Transfer-Encoding: chunked'],
        `3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`,
      )
      expect([answer.status, codeOf(answer)]).toEqual([413, 'body_too_large'])
      expect(upstream.received).toHaveLength(before)
    })

    it('refuses an endless chunked body without waiting for its end', async () => {
      const socket = await openSocket(gateway.url)
      socket.write('POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
      const feeding = setInterval(() => {
        if (socket.writable) socket.write(`400\r\n${'x'.repeat(1024)}\r\n`)
      }, 5)
      const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(10_000) }).finally(() => {
        clearInterval(feeding)
        socket.destroy()
      })) as [Buffer]
      expect(parseResponse(chunk.toString('latin1')).status).toBe(413)
    })

    it('leaves a route without one unlimited', async () => {
      const body = 'x'.repeat(3 * 1024 * 1024)
      expect(
        (await sendLines(gateway.url, 'POST /public', [`Content-Length: ${body.length}`], body)).status,
      ).toBe(200)
      expect(upstream.last().body).toHaveLength(body.length)
    })
  })

  it('Expect: 100-continue is answered once the request is admitted, and not when it is refused', async () => {
    const socket = await openSocket(gateway.url)
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    socket.write(
      'POST /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
    )
    await once(socket, 'data')
    expect(text).toMatch(/^HTTP\/1\.1 100 /)
    socket.write('body')
    await once(socket, 'close')
    expect(text).toContain('HTTP/1.1 200 ')
    expect(upstream.last().body).toBe('body')
    const refused = await sendLines(gateway.url, 'POST /private', [
      'Expect: 100-continue',
      'Content-Length: 4',
    ])
    expect(refused.status).toBe(401)
    const tooLarge = await sendLines(gateway.url, 'POST /small', [
      'Expect: 100-continue',
      'Content-Length: 4000',
    ])
    expect(tooLarge.status).toBe(413)
  })

  it('a connection serves one request after another, also after refusals with a body', async () => {
    const socket = await openSocket(gateway.url)
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    const post = (path: string, body: string) =>
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    socket.write(
      post('/public', 'a'.repeat(100)) +
        post('/private', 'b'.repeat(100_000)) +
        post('/public?last', 'c') +
        'GET /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    )
    await once(socket, 'close')
    expect([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status)).toEqual([
      '200',
      '401',
      '200',
      '200',
    ])
  })
})
