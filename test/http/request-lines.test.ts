import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { exchange, outcomes, startRawUpstream, type RawUpstream } from '../support/raw-http.js'

let upstream: RawUpstream
let gateway: TestGateway
beforeAll(async () => {
  upstream = await startRawUpstream()
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

const withHost = (line: string, ...lines: string[]) =>
  [line, 'Host: x', 'Connection: close', ...lines, '', ''].join('\r\n')

async function expectRefused(bytes: string) {
  const before = upstream.seen()
  const answer = await exchange(gateway.url, bytes)
  expect([bytes.split('\r\n')[0], outcomes(answer), answer.isClosed]).toEqual([
    bytes.split('\r\n')[0],
    ['400 request_malformed'],
    true,
  ])
  expect(upstream.seen()).toEqual(before)
}

describe('a request line that is not HTTP', () => {
  it.each([
    'GET /public/a RTSP/1.1',
    'GET /public/a RTSP/1.0',
    'POST /public/a RTSP/1.0',
    'OPTIONS /public/a RTSP/1.0',
    'DESCRIBE /public/a RTSP/1.0',
    'SETUP /public/a RTSP/1.0',
    'PLAY /public/a RTSP/1.0',
    'SOURCE /public/a ICE/1.0',
    'SOURCE /public/a HTTP/1.1',
    'GET /public/a HTTP/0.9',
    'GET /public/a HTTP/2.0',
    'GET /public/a',
  ])('is 400, and no service sees it: %s', async (line) => {
    await expectRefused(withHost(line))
  })

  it.each([
    'GET  /public/a HTTP/1.1',
    'GET /public/a  HTTP/1.1',
    'GET /public/a HTTP/1.1 ',
    'GET\t/public/a HTTP/1.1',
  ])('is 400 with other blanks than one between its words: %j', async (line) => {
    await expectRefused(withHost(line))
  })

  it('is told by its method also behind a request that is HTTP', async () => {
    const first = ['GET /public/first HTTP/1.1', 'Host: x', '', ''].join('\r\n')
    const answer = await exchange(gateway.url, first + withHost('DESCRIBE /public/second RTSP/1.0'))
    expect(outcomes(answer)).toEqual(['200 GET /public/first', '400 request_malformed'])
  })

  it('is not seen in real HTTP: empty lines before it, a body that looks like RTSP, HTTP/1.0', async () => {
    expect(outcomes(await exchange(gateway.url, `\r\n\r\n${withHost('GET /public/a HTTP/1.1')}`))).toEqual([
      '200 GET /public/a',
    ])
    const body = 'GET /public/a RTSP/1.1\r\n'
    expect(
      outcomes(
        await exchange(
          gateway.url,
          withHost('POST /public/a HTTP/1.1', `Content-Length: ${body.length}`) + body,
        ),
      ),
    ).toEqual(['200 POST /public/a'])
    expect(outcomes(await exchange(gateway.url, withHost('GET /public/a HTTP/1.0')))).toEqual([
      '200 GET /public/a',
    ])
  })
})

describe('a number that does not fit into a double', () => {
  it.each([
    '9007199254740992',
    '9007199254740993',
    '18446744073709551615',
    '18446744073709551616',
    '99999999999999999999999',
  ])('as Content-Length is 400, and no service is told another number: %s', async (length) => {
    await expectRefused(withHost('POST /public/a HTTP/1.1', `Content-Length: ${length}`))
  })

  it.each(['10000000000000000', 'ffffffffffffffffffff'])(
    'as the size of a chunk is 400: %s',
    async (size) => {
      const answer = await exchange(
        gateway.url,
        withHost('POST /public/a HTTP/1.1', 'Transfer-Encoding: chunked') + `${size}\r\nx`,
      )
      expect(outcomes(answer)).toEqual(['400 request_malformed'])
    },
  )
})

describe('more requests at once than may wait on a connection', () => {
  it.each([102, 5000])(
    'those that were taken are answered in order, then the connection closes (%i)',
    async (count) => {
      const requests = Array.from(
        { length: count },
        (_, index) => `GET /public/${index} HTTP/1.1\r\nHost: x\r\n\r\n`,
      )
      const answer = await exchange(gateway.url, requests.join(''), { patienceMs: 10_000 })
      expect(answer.isClosed).toBe(true)
      expect(outcomes(answer)).toEqual(Array.from({ length: 101 }, (_, index) => `200 GET /public/${index}`))
      expect(answer.answers.at(-1)?.headers.connection).toEqual(['close'])
      expect(answer.rest).toBe('')
    },
  )

  it('a hundred and one are answered, and the connection is kept', async () => {
    const requests = Array.from(
      { length: 101 },
      (_, index) => `GET /public/${index} HTTP/1.1\r\nHost: x\r\n\r\n`,
    )
    const answer = await exchange(gateway.url, requests.join(''), { patienceMs: 1500 })
    expect([outcomes(answer).length, answer.isClosed]).toEqual([101, false])
  })
})
