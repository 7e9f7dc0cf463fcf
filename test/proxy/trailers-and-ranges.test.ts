import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { openSocket, sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { tokenFor } from '../support/demo.js'
import { eventually, within } from '../support/within.js'

describe('the finer points of HTTP', () => {
  let upstream: Upstream
  let gateway: TestGateway
  /** Answers each request with these bytes as they are. */
  let literal: { server: Server; answer: string; heard: string[] }
  beforeAll(async () => {
    upstream = await startUpstream()
    const server = createServer((socket: Socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (chunk: Buffer) => {
        literal.heard.push(chunk.toString('latin1'))
        socket.write(literal.answer)
      })
    })
    literal = { server, answer: '', heard: [] }
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    gateway = await startTestGateway({
      routes: `
upstreams:
  own: { targets: ['${upstream.url}'] }
  literal:
    { targets: ['http://127.0.0.1:${(server.address() as AddressInfo).port}'],
      timeouts: { headersMs: 1000, bodyMs: 1000 } }
routes:
  /public: { upstream: own, auth: public }
  /private: { upstream: own }
  /small: { upstream: own, auth: public, bodyLimit: 10 }
  /literal: { upstream: literal, auth: public }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
    literal.server.close()
  })

  /** What comes back, byte for byte, where the upstream answers with these lines. */
  async function answeredBy(lines: string[], requestLines: string[] = [], method = 'GET') {
    literal.answer = lines.join('\r\n')
    return await within(5000, sendLines(gateway.url, `${method} /literal`, requestLines))
  }

  describe('trailers', () => {
    const withTrailers = (...trailers: string[]) => [
      'HTTP/1.1 200 OK',
      'Transfer-Encoding: chunked',
      'Trailer: Server-Timing, X-Checksum',
      '',
      '5',
      'hello',
      '0',
      ...trailers,
      '',
      '',
    ]

    it('reach a client that said it reads them', async () => {
      for (const te of ['trailers', 'gzip;q=0.5, trailers', 'TRAILERS']) {
        const answer = await answeredBy(withTrailers('Server-Timing: total;dur=5', 'X-Checksum: abc'), [
          `TE: ${te}`,
        ])
        expect(answer.body).toBe('hello')
        expect(answer.headers.trailer).toEqual(['Server-Timing, X-Checksum'])
        expect(answer.text.slice(answer.text.indexOf('\r\n0\r\n'))).toMatch(
          /^\r\n0\r\nserver-timing: total;dur=5\r\nx-checksum: abc\r\n\r\n$/i,
        )
        expect(literal.heard.at(-1)).toMatch(/\r\nte: trailers\r\n/i)
      }
    })

    it('reach no other client, and the service is not told to send them', async () => {
      for (const te of [[], ['TE: gzip'], ['TE: no-trailers']]) {
        const answer = await answeredBy(withTrailers('X-Checksum: abc'), te)
        expect([answer.status, answer.body]).toEqual([200, 'hello'])
        expect(answer.text).not.toMatch(/checksum/i)
        expect(answer.text.endsWith('\r\n0\r\n\r\n')).toBe(true)
        expect(literal.heard.at(-1)).not.toMatch(/\r\nte:/i)
      }
    })

    it.each([
      'Transfer-Encoding: chunked',
      'Set-Cookie: auth_token=x',
      'Set-Cookie: theme=dark',
      'Content-Type: text/html',
      'Content-Encoding: gzip',
      'Content-Range: bytes 0-1/2',
      'Cache-Control: public',
      'Connection: keep-alive',
      'X-Request-Id: theirs',
      'Access-Control-Allow-Origin: *',
      'WWW-Authenticate: Basic',
      'Location: /x',
      'Host: x',
      'Authorization: Bearer x',
      'RateLimit: x',
      'X-Content-Type-Options: x',
      'Vary: *',
      'Retry-After: 1',
      'Trailer: X-More',
      'Strict-Transport-Security: max-age=0',
      'RateLimit-Policy: x',
      'Keep-Alive: timeout=5',
      'Upgrade: x',
      'TE: x',
      'Proxy-Authenticate: x',
      'Proxy-Connection: x',
    ])('never hold %s', async (line) => {
      const answer = await answeredBy(withTrailers(line, 'X-Checksum: abc'), ['TE: trailers'])
      expect([answer.status, answer.body]).toEqual([200, 'hello'])
      expect(answer.text.slice(answer.text.indexOf('\r\n0\r\n'))).toMatch(
        /^\r\n0\r\nx-checksum: abc\r\n\r\n$/i,
      )
    })

    it('are not announced where none can come: of a body with a length, to HEAD, to HTTP/1.0', async () => {
      const lines = ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Trailer: X-Checksum', '', 'hello']
      const answer = await answeredBy(lines, ['TE: trailers'])
      expect([answer.status, answer.body, answer.headers.trailer]).toEqual([200, 'hello', undefined])
      const head = await answeredBy(
        ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Trailer: X-Checksum', '', ''],
        ['TE: trailers'],
        'HEAD',
      )
      expect([head.status, head.headers.trailer]).toEqual([200, undefined])
      literal.answer = withTrailers('X-Checksum: abc').join('\r\n')
      const old = await within(
        5000,
        sendRaw(gateway.url, 'GET /literal HTTP/1.0\r\nHost: x\r\nTE: trailers\r\n\r\n'),
      )
      expect([old.status, old.body, old.headers.trailer]).toEqual([200, 'hello', undefined])
    })

    it('that contradict the body end in no answer that looks whole', async () => {
      const answer = await answeredBy(withTrailers('Content-Length: 3'), ['TE: trailers'])
      expect(answer.text).not.toMatch(/content-length/i)
      expect(answer.text.endsWith('0\r\n\r\n')).toBe(false)
    })

    it('of a request do not become headers, nor reach the service', async () => {
      const before = upstream.received.length
      const answer = await sendRaw(
        gateway.url,
        'POST /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n' +
          'Trailer: X-User-Id\r\n\r\n4\r\nbody\r\n0\r\nX-User-Id: forged\r\nX-Other: y\r\n\r\n',
      )
      expect(answer.status).toBe(200)
      expect(upstream.received).toHaveLength(before + 1)
      expect(JSON.stringify(upstream.last())).not.toMatch(/forged|x-other/i)
      expect(upstream.last().body).toBe('body')
    })
  })

  describe('ranges', () => {
    it('reach the service, and its part comes back as it is', async () => {
      const seen: unknown[] = []
      upstream.answerWith((req, res) => {
        seen.push([req.headers.range, req.headers['if-range']])
        res
          .writeHead(206, {
            'Content-Range': 'bytes 2-4/10',
            'Content-Length': '3',
            'Accept-Ranges': 'bytes',
            ETag: '"v1"',
          })
          .end('cde')
      })
      const answer = await sendLines(gateway.url, 'GET /public', ['Range: bytes=2-4', 'If-Range: "v1"'])
      expect([answer.status, answer.body]).toEqual([206, 'cde'])
      expect(answer.headers).toMatchObject({
        'content-range': ['bytes 2-4/10'],
        'content-length': ['3'],
        'accept-ranges': ['bytes'],
        etag: ['"v1"'],
      })
      expect(seen).toEqual([['bytes=2-4', '"v1"']])
      upstream.answerWith((_req, res) => res.writeHead(416, { 'Content-Range': 'bytes */10' }).end())
      const beyond = await sendLines(gateway.url, 'GET /public', ['Range: bytes=20-'])
      expect([beyond.status, beyond.headers['content-range']]).toEqual([416, ['bytes */10']])
      upstream.answerWith(undefined)
    })

    it('in several parts keep their boundary', async () => {
      const body =
        '--b\r\nContent-Range: bytes 0-0/10\r\n\r\na\r\n--b\r\nContent-Range: bytes 9-9/10\r\n\r\nj\r\n--b--\r\n'
      const answer = await answeredBy([
        'HTTP/1.1 206 Partial Content',
        'Content-Type: multipart/byteranges; boundary=b',
        `Content-Length: ${body.length}`,
        '',
        body,
      ])
      expect([answer.status, answer.headers['content-type'], answer.body]).toEqual([
        206,
        ['multipart/byteranges; boundary=b'],
        body,
      ])
    })
  })

  describe('answers without a body', () => {
    it('304 keeps the length that it speaks of, and the connection to the service is used again', async () => {
      for (let again = 0; again < 3; again += 1) {
        const answer = await answeredBy(
          ['HTTP/1.1 304 Not Modified', 'ETag: "v1"', 'Content-Length: 1234', '', ''],
          ['If-None-Match: "v1"'],
        )
        expect([answer.status, answer.body, answer.headers.etag]).toEqual([304, '', ['"v1"']])
        expect(answer.headers['content-length'] ?? ['1234']).toEqual(['1234'])
      }
    })

    it('304 without a length, and 204, are what they are', async () => {
      expect((await answeredBy(['HTTP/1.1 304 Not Modified', 'ETag: "v1"', '', ''])).status).toBe(304)
      const answer = await answeredBy(['HTTP/1.1 204 No Content', '', ''])
      expect([answer.status, answer.body, answer.headers['transfer-encoding']]).toEqual([204, '', undefined])
    })

    it('HEAD keeps the length that GET would have', async () => {
      const answer = await answeredBy(['HTTP/1.1 200 OK', 'Content-Length: 1234', '', ''], [], 'HEAD')
      expect([answer.status, answer.body, answer.headers['content-length']]).toEqual([200, '', ['1234']])
    })

    const answeredBehind = (interim: string) =>
      answeredBy([interim, 'HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok'])

    it('interim answers of the service are not passed on, and its final one is', async () => {
      for (const interim of [
        'HTTP/1.1 102 Processing\r\n',
        'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n',
      ]) {
        const answer = await answeredBehind(interim)
        expect([answer.status, answer.body]).toEqual([200, 'ok'])
      }
    })
  })

  describe('Expect: 100-continue', () => {
    /** Sends a head, and answers the first line that comes back, before any body is sent. */
    async function firstLine(path: string, ...lines: string[]) {
      const socket = await openSocket(gateway.url)
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
      })
      socket.write(
        [
          `POST ${path} HTTP/1.1`,
          'Host: x',
          'Connection: close',
          'Expect: 100-continue',
          ...lines,
          '',
          '',
        ].join('\r\n'),
      )
      await eventually(() => text.includes('\r\n\r\n') || undefined)
      return { line: text.split('\r\n', 1)[0], socket, text: () => text }
    }

    it('requests the body of an admitted caller', async () => {
      const { token } = await tokenFor(gateway.database, 'alice')
      for (const [path, ...lines] of [['/public'], ['/private', `Authorization: Bearer ${token}`]] as [
        string,
        ...string[],
      ][]) {
        const { line, socket, text } = await firstLine(path, ...lines, 'Content-Length: 4')
        expect(line).toBe('HTTP/1.1 100 Continue')
        const closed = once(socket, 'close')
        socket.write('body')
        await closed
        expect(text().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200'])
        expect(upstream.last().body).toBe('body')
        expect(upstream.last().headers).not.toHaveProperty('expect')
      }
    })

    it('refuses the others without it, and nothing reaches the service', async () => {
      const before = upstream.received.length
      for (const [path, status, ...lines] of [
        ['/private', 401, 'Content-Length: 4'],
        ['/small', 413, 'Content-Length: 11'],
        ['/nowhere', 404, 'Content-Length: 4'],
      ] as [string, number, string][]) {
        const { line, socket } = await firstLine(path, ...lines)
        expect(line).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
        socket.destroy()
      }
      expect(upstream.received).toHaveLength(before)
    })
  })
})
