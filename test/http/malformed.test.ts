import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { openSocket, sendLines, sendRaw, type RawResponse } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('malformed HTTP', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes:
        `{ upstreams: { own: { targets: ['${upstream.url}'] } }, routes: { ` +
        '/public: { upstream: own, auth: public } } }',
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  function expectProblem(answer: RawResponse, status: number) {
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']?.join()).toContain('application/problem+json')
    expect(JSON.parse(answer.body)).toMatchObject({ status })
    expect(answer.text).not.toMatch(/HPE_|llhttp|Parse Error|at .*:\d+:\d+|node:/)
  }

  it.each([
    ['words', 'hello\r\n\r\n'],
    ['another protocol', 'SSH-2.0-x\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['another version', 'GET /public HTTP/3.7\r\nHost: x\r\n\r\n'],
    ['an unknown method', 'HELLO /public HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a header without a colon', 'GET /public HTTP/1.1\r\nHost: x\r\nrubbish\r\n\r\n'],
    ['a blank before the colon', 'GET /public HTTP/1.1\r\nHost: x\r\nX-A : 1\r\n\r\n'],
    ['a folded header', 'GET /public HTTP/1.1\r\nHost: x\r\n X-A: 1\r\n\r\n'],
    ['NUL in a header', 'GET /public HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n'],
    ['a blank in the path', 'GET /a b HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['NUL in the path', 'GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a length that is no number', 'POST /public HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\nhello'],
    ['a negative length', 'POST /public HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello'],
    [
      'two lengths',
      'POST /public HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
    ],
    [
      'a length and chunks',
      'POST /public HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'a bad chunk size',
      'POST /public HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n',
    ],
  ])('%s is 400, and nothing reaches the upstream whole', async (_, bytes) => {
    const before = upstream.received.length
    expectProblem(await sendRaw(gateway.url, bytes), 400)
    expect(upstream.received).toHaveLength(before)
  })

  it.each([
    'gzip, chunked',
    'gzip',
    'identity',
    'xchunked',
    'chunked, chunked',
    'chunked, gzip',
    ' , chunked',
  ])('the Transfer-Encoding %j is refused: only chunked is taken', async (coding) => {
    const before = upstream.received.length
    expectProblem(
      await sendRaw(
        gateway.url,
        `POST /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`,
      ),
      400,
    )
    expect(upstream.received).toHaveLength(before)
  })

  it('chunked is taken in any case', async () => {
    expect(
      (
        await sendRaw(
          gateway.url,
          'POST /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
            'Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
        )
      ).status,
    ).toBe(200)
    expect(upstream.last().body).toBe('hi')
  })

  it('headers of more than 32 KiB are 431, in one line or many', async () => {
    expectProblem(await sendLines(gateway.url, 'GET /public', [`X-Long: ${'x'.repeat(40_000)}`]), 431)
    expectProblem(
      await sendLines(
        gateway.url,
        'GET /public',
        Array.from({ length: 100 }, (_, index) => `X-${index}: ${'x'.repeat(500)}`),
      ),
      431,
    )
    expectProblem(await sendLines(gateway.url, `GET /public?${'x'.repeat(40_000)}`), 431)
  })

  it('a token of 8 KiB fits beside ordinary headers', async () => {
    expect(
      (
        await sendLines(gateway.url, 'GET /public', [
          `Authorization: Bearer ${'x'.repeat(8192)}`,
          `Cookie: a=${'y'.repeat(8192)}`,
        ])
      ).status,
    ).toBe(200)
  })

  it('thousands of header lines are refused, so that none is dropped unseen', async () => {
    for (const count of [2001, 2500, 5000]) {
      const before = upstream.received.length
      const answer = await sendLines(gateway.url, 'GET /public', [
        ...Array.from({ length: count }, () => 'a:'),
        'X-Mandate-Id: 1',
        'X-Mandate-Id: 2',
      ])
      expectProblem(answer, 431)
      expect(upstream.received).toHaveLength(before)
    }
  })

  it('no Host is 400', async () => {
    expectProblem(await sendRaw(gateway.url, 'GET /public HTTP/1.1\r\nConnection: close\r\n\r\n'), 400)
  })

  it('an unknown expectation is 417', async () => {
    expectProblem(await sendLines(gateway.url, 'GET /public', ['Expect: miracles']), 417)
  })

  it('CONNECT opens no tunnel', async () => {
    const answer = await sendRaw(gateway.url, 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n')
    expect(answer.status).not.toBe(200)
  })

  it('an upgrade to another protocol than WebSocket is an ordinary request', async () => {
    expect((await sendLines(gateway.url, 'GET /public', ['Upgrade: h2c'])).status).toBe(200)
    expect(upstream.last().headers).not.toHaveProperty('upgrade')
  })

  it('carries a request id in its answer, as every answer does', async () => {
    for (const bytes of [
      'rubbish\r\n\r\n',
      'GET /public HTTP/1.1\r\nConnection: close\r\n\r\n',
      `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`,
    ]) {
      const answer = await sendRaw(gateway.url, bytes)
      expect(answer.headers['x-request-id']).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)])
      expect(JSON.parse(answer.body)).toHaveProperty('requestId', answer.headers['x-request-id']?.[0])
    }
  })

  it('a request smuggled behind another’s body is not served as one of its own', async () => {
    const before = upstream.received.length
    await sendRaw(
      gateway.url,
      'POST /public?outer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 44\r\n\r\n' +
        'GET /public?inner HTTP/1.1\r\nHost: x\r\n\r\n......',
    )
    expect(upstream.received.slice(before).map(({ url }) => url)).toEqual(['/public?outer'])
  })

  it('leaves the gateway well: the next request is served', async () => {
    const half = await openSocket(gateway.url)
    half.write('POST /public HTTP/1.1\r\nHost: x\r\nContent-Le')
    half.destroy()
    const reset = await openSocket(gateway.url)
    reset.write('GET /public HTTP/1.1\r\nHost: x\r\n\r\n')
    reset.resetAndDestroy()
    await once(reset, 'close')
    expect((await sendLines(gateway.url, 'GET /public')).status).toBe(200)
  })
})
