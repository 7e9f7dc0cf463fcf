import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import {
  exchange,
  openSocket,
  outcomes,
  plainResponse,
  startRawUpstream,
  valuesOf,
  type Exchange,
  type RawUpstream,
} from '../support/raw-http.js'
import { until } from '../support/until.js'

const routesTo = (url: string) => `
upstreams: { own: { targets: ['${url}'], timeouts: { connectMs: 1000, headersMs: 1000, bodyMs: 800 } } }
routes:
  /public: { upstream: own, auth: public }
  /small: { upstream: own, auth: public, bodyLimit: 10 }
  /hurried: { upstream: own, auth: public, timeoutMs: 300 }
  /private: { upstream: own }
`

/** A request that stands behind another one's end, or in its body: whoever serves it has lost count. */
const poison = 'GET /public/poison HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
/**
 * As a program reads it that knows no chunks, a body; as one reads it that does, an empty body and a request
 * behind it.
 */
const hidden = `0\r\n\r\n${poison}`
const chunked = 'Transfer-Encoding: chunked'

const post = (lines: string[], body: string, line = 'POST /public/outer HTTP/1.1') =>
  [line, 'Host: x', ...lines, '', body].join('\r\n')
const get = (path: string, ...lines: string[]) =>
  [`GET ${path} HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n')

let upstream: RawUpstream
let gateway: TestGateway
let tokens: Record<'alice' | 'bob', string>
beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startTestGateway({ routes: routesTo(upstream.url) })
  tokens = {
    alice: (await tokenFor(gateway.database, 'alice')).token,
    bob: (await tokenFor(gateway.database, 'bob')).token,
  }
})
beforeEach(async () => {
  upstream.answerWith()
  // what the test before had under way has come by now
  await exchange(gateway.url, get('/public/settled', 'Connection: close'))
  upstream.received.fill('')
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

/** Whoever comes next is served, exactly once, and no poison has reached the upstream. */
async function expectWell() {
  upstream.answerWith()
  const before = upstream.requests.length
  expect(outcomes(await exchange(gateway.url, get('/public/next', 'Connection: close')))).toEqual([
    '200 GET /public/next',
  ])
  expect(upstream.requests.slice(before).map(({ target }) => target)).toEqual(['/public/next'])
  expect(upstream.received.join('')).not.toContain('poison')
}

/** A refusal in the form of all others, which tells nothing of the parser. */
function expectProblem({ answers, text }: Exchange) {
  for (const answer of answers) {
    expect(answer.headers['content-type']).toEqual([expect.stringMatching(/^application\/problem\+json\b/)])
    expect(JSON.parse(answer.body)).toMatchObject({
      status: answer.status,
      requestId: answer.headers['x-request-id']?.[0],
    })
  }
  expect(text).not.toMatch(/HPE_|llhttp|Parse Error|undici|node:|at .*:\d+:\d+/)
}

/** The whole connection is refused: one answer, then its end, and not a byte to the upstream. */
async function expectRefused(bytes: string | Buffer, outcome = '400 request_malformed') {
  const before = upstream.seen()
  const answer = await exchange(gateway.url, bytes, { patienceMs: 1000 })
  expect([outcomes(answer), answer.interim, answer.rest, answer.isClosed]).toEqual([[outcome], [], '', true])
  expectProblem(answer)
  expect(upstream.seen()).toEqual(before)
  await expectWell()
}

/** Every answer in its turn, and each request once at the upstream, with its body. */
async function expectServed(bytes: string, expected: string[], bodies: Record<string, string> = {}) {
  const before = upstream.requests.length
  const answer = await exchange(gateway.url, bytes)
  expect([outcomes(answer), answer.rest]).toEqual([expected.map((one) => `200 ${one}`), ''])
  const came = upstream.requests.slice(before)
  expect(came.map(({ method, target }) => `${method} ${target}`).sort()).toEqual([...expected].sort())
  for (const { target, body } of came) expect([target, body]).toEqual([target, bodies[target] ?? ''])
}

describe('a length that two programs could read differently is refused, and its connection ends', () => {
  it.each([
    ['a length, then chunks', [`Content-Length: 5`, chunked]],
    ['chunks, then a length', [chunked, `Content-Length: ${hidden.length}`]],
    ['chunks, then the length 0', [chunked, 'Content-Length: 0']],
    [
      'a length between headers, and chunks',
      ['Content-Length: 5', 'X-Between: 1', 'TRANSFER-ENCODING: chunked'],
    ],
    ['a length, and a coding that is unknown', ['Content-Length: 5', 'Transfer-Encoding: xchunked']],
  ])('%s', async (_, lines) => {
    await expectRefused(post(lines, hidden))
  })

  it.each([
    ['two that are equal', ['5', '5']],
    ['two that are not', ['5', '6']],
    ['one and none', ['5', '0']],
    ['none and one', ['0', '5']],
    ['two in other spellings', ['5', '05']],
  ])('%s', async (_, lengths) => {
    await expectRefused(
      post(
        lengths.map((length, index) => `${index === 0 ? 'Content-Length' : 'content-length'}: ${length}`),
        `hello${poison}`,
      ),
    )
  })

  it.each([
    '5, 5',
    '5,6',
    '+5',
    '-1',
    '-0',
    '0x5',
    '',
    '5 5',
    '5;',
    '5.0',
    '5e0',
    '5_',
    '5\x0b',
    '\xb25',
    '18446744073709551616',
    '184467440737095516160',
    '9'.repeat(400),
  ])('Content-Length: %j', async (length) => {
    await expectRefused(post([`Content-Length: ${length}`], `hello${poison}`))
  })

  // RFC 9110 §5.5: tabs around a value are not part of it. The parser of Node 20 refuses them, that of Node 22
  // and later leaves them out.
  it.each(['\t5\t', '5\t'])('Content-Length: %j, or has the length 5 for all', async (length) => {
    const before = upstream.requests.length
    const answer = await exchange(gateway.url, post([`Content-Length: ${length}`], 'hello'))
    const came = upstream.requests.slice(before)
    if (outcomes(answer)[0]?.startsWith('400') === true) {
      expect([outcomes(answer), answer.isClosed, came]).toEqual([['400 request_malformed'], true, []])
      return
    }
    expect(outcomes(answer)).toEqual(['200 POST /public/outer'])
    expect(came.map(({ body }) => body)).toEqual(['hello'])
  })

  it.each([
    'xchunked',
    'chunked, identity',
    'identity',
    'gzip',
    'chunked, gzip',
    'chunked , chunked',
    'chunked,',
    ',chunked,',
    'chunked;q=1',
    '"chunked"',
    'chunked chunked',
    '',
    '\x0bchunked',
    'chunked\x0b',
    'chunked\0',
    '\xa0chunked',
    'chunke\xf0',
  ])('Transfer-Encoding: %j', async (coding) => {
    await expectRefused(post([`Transfer-Encoding: ${coding}`], hidden))
  })

  it.each([
    ['chunked twice', ['chunked', 'chunked']],
    ['chunked, then another', ['chunked', 'identity']],
  ])('Transfer-Encoding on two lines: %s', async (_, codings) => {
    await expectRefused(
      post(
        codings.map((coding) => `Transfer-Encoding: ${coding}`),
        hidden,
      ),
    )
  })

  it.each([
    ['a blank before the colon', ['Transfer-Encoding : chunked']],
    ['a tab before the colon', ['Transfer-Encoding\t: chunked']],
    ['a blank before the length’s colon', ['Content-Length : 5']],
    ['a folded coding', ['Transfer-Encoding:', ' chunked']],
    ['a folded second coding', [chunked, ' , identity']],
    ['a coding folded into another header', ['Content-Length: 5', 'X-A: b', '\tTransfer-Encoding: chunked']],
    ['a folded length', ['Content-Length:', ' 5']],
    ['a line end of CR alone before it', [`X-A: b\r${chunked}`]],
    ['a line end of LF alone before it', [`X-A: b\n${chunked}`]],
    ['NUL in its name', ['Transfer-Encoding\0: chunked']],
  ])('%s', async (_, lines) => {
    await expectRefused(post(lines, hidden))
  })

  it('a first header line that is folded', async () => {
    await expectRefused(`POST /public/outer HTTP/1.1\r\n ${chunked}\r\nHost: x\r\n\r\n${hidden}`)
  })

  // A coding that Node takes and the gateway does not: the answer is right, but what stands behind it is
  // served. To be refused as all others.
  it.each([
    ['gzip, chunked', ['gzip, chunked']],
    [' , chunked', [' , chunked']],
    ['identity, chunked', ['identity, chunked']],
    ['two lines, the second chunked', ['identity', 'chunked']],
    ['an empty line and chunked', ['', 'chunked']],
    ['chunked and an empty line', ['chunked', '']],
  ])('a Transfer-Encoding that ends in chunked and holds more: %s', async (_, codings) => {
    await expectRefused(
      post(
        codings.map((coding) => `Transfer-Encoding: ${coding}`),
        hidden,
      ),
    )
  })

  // RFC 9112 §6.1: HTTP/1.0 has no chunks; who sends them is read differently by a program that knows that.
  it.each([
    ['', []],
    [' that asks to be kept', ['Connection: keep-alive']],
  ])('chunks of HTTP/1.0%s', async (_, lines) => {
    await expectRefused(post([...lines, chunked], hidden, 'POST /public/outer HTTP/1.0'))
  })
})

describe('a length that all programs read alike is accepted', () => {
  it.each([
    ['blanks before it', ' 5'],
    ['a blank behind it', '5 '],
    ['leading zeros', '005'],
  ])('with %s', async (_, length) => {
    await expectServed(
      post([`Content-Length: ${length}`], 'hello') + poison.replaceAll('poison', 'second'),
      ['POST /public/outer', 'GET /public/second'],
      { '/public/outer': 'hello' },
    )
    expect(upstream.requests.slice(-2).flatMap((one) => valuesOf(one, 'Content-Length'))).toEqual(['5'])
  })

  it('a name that an upstream may take for one of the two framings is not passed on as one', async () => {
    await expectServed(
      post(
        [
          'Transfer_Encoding: chunked',
          'Transfer.Encoding: chunked',
          'Content-Length: 5',
          'Connection: close',
        ],
        'hello',
      ),
      ['POST /public/outer'],
      { '/public/outer': 'hello' },
    )
    expect(upstream.last().lines.join('\n')).not.toMatch(/transfer.encoding/i)
  })

  it('nor is a name that it may take for the length', async () => {
    await expectServed(
      post(['Content_Length: 99', 'Content.Length: 98', 'Content-Length: 5', 'Connection: close'], 'hello'),
      ['POST /public/outer'],
      { '/public/outer': 'hello' },
    )
    expect(upstream.last().lines.filter((line) => /^content.length:/i.test(line))).toEqual([
      'content-length: 5',
    ])
  })
})

describe('a chunked body', () => {
  const send = (body: string, path = '/public/outer') =>
    exchange(gateway.url, post([chunked], body + poison, `POST ${path} HTTP/1.1`), { patienceMs: 1000 })
  const whole = '5\r\nhello\r\n0\r\n\r\n'

  it.each([
    ['in one chunk', whole],
    ['in several', '2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'],
    ['with small extensions', '5;a=b;c="d;e"\r\nhello\r\n0;f\r\n\r\n'],
    ['with leading zeros', `${'0'.repeat(20)}5\r\nhello\r\n000\r\n\r\n`],
  ])('%s is accepted, and the bytes behind it are the next request', async (_, body) => {
    await expectServed(
      post([chunked], body) + get('/public/second', 'Connection: close'),
      ['POST /public/outer', 'GET /public/second'],
      { '/public/outer': 'hello' },
    )
  })

  it.each([
    ['a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a size with a plus', '+5\r\nhello\r\n0\r\n\r\n'],
    ['a size of 2^64 and more', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
    ['a size of many digits', `${'f'.repeat(40)}\r\nhello\r\n0\r\n\r\n`],
    ['0x before the size', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a blank before the size', ' 5\r\nhello\r\n0\r\n\r\n'],
    ['a blank behind the size', '5 \r\nhello\r\n0\r\n\r\n'],
    ['a tab behind the size', '5\t\r\nhello\r\n0\r\n\r\n'],
    ['no size', '\r\nhello\r\n0\r\n\r\n'],
    ['a size in words', 'five\r\nhello\r\n0\r\n\r\n'],
    ['NUL in an extension', '5;\0\r\nhello\r\n0\r\n\r\n'],
    ['an extension of 64 KiB', `5;a=${'x'.repeat(65_536)}\r\nhello\r\n0\r\n\r\n`],
    ['LF alone behind the size', '5\nhello\r\n0\r\n\r\n'],
    ['LF alone in an extension', '5;a\nhello\r\n0\r\n\r\n'],
    ['LF alone behind the data', '5\r\nhello\n0\r\n\r\n'],
    ['LF alone behind the last chunk', '5\r\nhello\r\n0\n\r\n'],
    ['LF alone at the end', '5\r\nhello\r\n0\r\n\n'],
    ['CR alone behind the size', '5\rhello\r\n0\r\n\r\n'],
    ['CR alone behind the data', '5\r\nhello\r0\r\n\r\n'],
    ['no line end behind the data', '5\r\nhelloXX0\r\n\r\n'],
    ['more data than its size', '5\r\nhelloworld\r\n0\r\n\r\n'],
    ['a length in its trailers', '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n'],
    ['a coding in its trailers', `5\r\nhello\r\n0\r\n${chunked}\r\n\r\n`],
    ['a trailer that is folded', '5\r\nhello\r\n0\r\nX-A: 1\r\n b\r\n\r\n'],
    ['a trailer without colon', '5\r\nhello\r\n0\r\nrubbish\r\n\r\n'],
  ])('with %s is refused, never whole at the upstream, and its connection ends', async (_, body) => {
    const before = upstream.requests.length
    const answer = await send(body)
    expect([outcomes(answer), answer.rest, answer.isClosed]).toEqual([['400 request_malformed'], '', true])
    expectProblem(answer)
    expect(upstream.requests).toHaveLength(before)
    await expectWell()
  })

  it('with 33 KiB of trailers is refused', async () => {
    const before = upstream.requests.length
    const answer = await send(`5\r\nhello\r\n0\r\nX-A: ${'x'.repeat(33 * 1024)}\r\n\r\n`)
    expect([outcomes(answer), answer.isClosed]).toEqual([['431 headers_too_large'], true])
    expect(upstream.requests).toHaveLength(before)
    await expectWell()
  })

  it.each([
    'X-User-Id: spoofed',
    'Host: spoofed',
    'X-Mandate-Id: spoofed',
    'Authorization: Bearer spoofed',
    'Cookie: auth_token=spoofed',
    'X-Gateway-Identity: spoofed',
  ])('tells the upstream nothing in its trailers: %s', async (trailer) => {
    const before = upstream.seen()
    await expectServed(
      post(
        [chunked, 'Trailer: X-User-Id, Host', 'Connection: close'],
        `5\r\nhello\r\n0\r\n${trailer}\r\n\r\n`,
      ),
      ['POST /public/outer'],
      { '/public/outer': 'hello' },
    )
    expect(upstream.received.join('').slice(-(upstream.seen().bytes - before.bytes))).not.toMatch(
      /spoofed|trailer/i,
    )
  })

  it('refused by its length is never whole upstream, and the next bytes are the next request', async () => {
    const answer = await exchange(
      gateway.url,
      post([chunked], 'b\r\nhello world\r\n0\r\n\r\n', 'POST /small/outer HTTP/1.1') +
        get('/public/second', 'Connection: close'),
    )
    expect(outcomes(answer)).toEqual(['413 body_too_large', '200 GET /public/second'])
    expect(upstream.requests.map(({ target }) => target)).not.toContain('/small/outer')
    await expectWell()
  })
})

describe('a body and its length', () => {
  it('a body of a refused request is not read as a request', async () => {
    const before = upstream.seen()
    for (const [line, body] of [
      [`Content-Length: ${poison.length}`, poison],
      [chunked, `${poison.length.toString(16)}\r\n${poison}\r\n0\r\n\r\n`],
    ] as const) {
      const answer = await exchange(
        gateway.url,
        post([line, 'Connection: close'], body, 'POST /private/outer HTTP/1.1'),
      )
      expect(outcomes(answer)).toEqual(['401 authentication_required'])
    }
    expect(upstream.seen()).toEqual(before)
    await expectWell()
  })

  it('a body of an accepted request is never read as a request, whatever it holds', async () => {
    const text = get('/public/inner')
    await expectServed(
      post([`Content-Length: ${text.length}`, 'Connection: close'], text),
      ['POST /public/outer'],
      { '/public/outer': text },
    )
    await expectServed(
      post([chunked, 'Connection: close'], `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`),
      ['POST /public/outer'],
      { '/public/outer': text },
    )
  })

  it.each([
    ['of announced length', ['Content-Length: 10'], 'hello'],
    ['in chunks', [chunked], '5\r\nhello\r\n'],
    ['in chunks, in the middle of one', [chunked], 'a\r\nhello'],
    ['in chunks, before the last line', [chunked], '5\r\nhello\r\n0\r\n'],
  ])(
    'a body %s that ends too early is never whole at the upstream: its connection there is cut',
    async (_, lines, body) => {
      const before = upstream.seen()
      const answer = await exchange(gateway.url, post(lines, body), { halfClose: true })
      expect([outcomes(answer).filter((one) => !one.startsWith('400')), answer.isClosed]).toEqual([[], true])
      expect(upstream.requests).toHaveLength(before.requests)
      await until(() =>
        Promise.resolve(
          upstream.sockets.every(
            (socket, index) => socket.destroyed || upstream.received[index]?.endsWith('hello') !== true,
          ) || undefined,
        ),
      )
      await expectWell()
    },
  )

  it('the upstream gets as much of a body as was announced, and no byte behind it', async () => {
    const before = upstream.requests.length
    await exchange(gateway.url, post(['Content-Length: 5'], 'hello world'))
    await until(() => Promise.resolve(upstream.requests.length > before || undefined))
    await expectWell()
    expect(upstream.requests.slice(before).map(({ target, body }) => [target, body])).toEqual([
      ['/public/outer', 'hello'],
      ['/public/next', ''],
    ])
    expect(upstream.received.join('')).not.toContain('world')
  })

  it.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    'a body of %s is that request’s body',
    async (method) => {
      for (const [line, body] of [
        ['Content-Length: 5', 'hello'],
        [chunked, '5\r\nhello\r\n0\r\n\r\n'],
      ] as const) {
        const before = upstream.requests.length
        upstream.answerWith((socket) => {
          socket.write('HTTP/1.1 204 No Content\r\n\r\n')
        })
        const answer = await exchange(
          gateway.url,
          post([line], body, `${method} /public/outer HTTP/1.1`) + get('/public/second', 'Connection: close'),
        )
        expect(outcomes(answer)).toEqual(['204', '204'])
        expect(
          upstream.requests
            .slice(before)
            .map((one) => `${one.method} ${one.target} ${one.body}`)
            .sort(),
        ).toEqual(['GET /public/second ', `${method} /public/outer hello`].sort())
      }
      await expectWell()
    },
  )
})

describe('a request line', () => {
  it.each([
    ['HTTP/1.2', 'GET /public/outer HTTP/1.2'],
    ['HTTP/1.10', 'GET /public/outer HTTP/1.10'],
    ['HTTP/2', 'GET /public/outer HTTP/2'],
    ['HTTP/3.0', 'GET /public/outer HTTP/3.0'],
    ['http/1.1', 'GET /public/outer http/1.1'],
    ['another protocol', 'GET /public/outer GOPHER/1.1'],
    ['a blank behind the version', 'GET /public/outer HTTP/1.1 '],
    ['a blank in the path', 'GET /public/a b HTTP/1.1'],
    ['a tab for a blank', 'GET\t/public/outer HTTP/1.1'],
    ['a blank at its start', ' GET /public/outer HTTP/1.1'],
    ['a method in lower case', 'get /public/outer HTTP/1.1'],
    ['a method in mixed case', 'Post /public/outer HTTP/1.1'],
    ['an unknown method', 'HELLO /public/outer HTTP/1.1'],
    ['a method with a blank’s worth of rubbish', 'GET\x0b /public/outer HTTP/1.1'],
    ['NUL in the path', 'GET /public/\0 HTTP/1.1'],
    ['DEL in the path', 'GET /public/\x7f HTTP/1.1'],
    ['8-bit bytes in the path', 'GET /public/\xe4 HTTP/1.1'],
    ['an authority for a target', 'GET gateway.example:80 HTTP/1.1'],
    ['a path without slash', 'GET public/outer HTTP/1.1'],
    ['a query alone', 'GET ?a HTTP/1.1'],
  ])('with %s is refused, and its connection ends', async (_, line) => {
    await expectRefused(`${line}\r\nHost: x\r\n\r\n${poison}`)
  })

  it.each([
    ['LF alone at its end', `GET /public/outer HTTP/1.1\nHost: x\r\n\r\n${poison}`],
    ['CR alone at its end', `GET /public/outer HTTP/1.1\rHost: x\r\n\r\n${poison}`],
    ['LF alone everywhere', `GET /public/outer HTTP/1.1\nHost: x\n\n${poison}`],
    ['the preface of HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0${poison}`],
    ['the preface of HTTP/2, and a Host', `PRI * HTTP/2.0\r\nHost: x\r\n\r\nSM\r\n\r\n${poison}`],
  ])('with %s is refused, and its connection ends', async (_, bytes) => {
    await expectRefused(bytes)
  })

  // RFC 9110 §2.5, RFC 9112 §2.3: these are other protocols. Node's parser takes them, without a Host too.
  it.each([
    ['no version', 'GET /public/outer'],
    ['HTTP/0.9', 'GET /public/outer HTTP/0.9'],
    ['HTTP/2.0', 'GET /public/outer HTTP/2.0'],
  ])('with %s is refused, and its connection ends', async (_, line) => {
    await expectRefused(`${line}\r\nHost: x\r\n\r\n${poison}`)
  })

  it.each([
    ['no version', 'GET /public/outer'],
    ['HTTP/0.9', 'GET /public/outer HTTP/0.9'],
    ['HTTP/2.0', 'GET /public/outer HTTP/2.0'],
  ])('with %s and no Host is refused', async (_, line) => {
    await expectRefused(`${line}\r\n\r\n`)
  })

  it.each([
    'http://x/public/outer',
    'http://evil.example/public/outer',
    'https://x/public/outer',
    'ftp://x/public/outer',
    '*',
    '//public/outer',
    '//evil.example/public/outer',
    '/public/outer#f',
    '/public/outer?#f',
  ])('with the target %s is 400 path_ambiguous, by any method', async (target) => {
    for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD']) {
      const before = upstream.seen()
      const answer = await exchange(
        gateway.url,
        `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      )
      expect(method === 'HEAD' ? [answer.text.slice(9, 12)] : outcomes(answer)).toEqual(
        method === 'HEAD' ? ['400'] : ['400 path_ambiguous'],
      )
      if (method !== 'HEAD') expectProblem(answer)
      expect(upstream.seen()).toEqual(before)
    }
    await expectWell()
  })

  it.each(['PROPFIND', 'PURGE', 'REPORT', 'SEARCH', 'M-SEARCH', 'QUERY', 'LINK', 'LOCK'])(
    'of a known method %s is passed on as it is, once',
    async (method) => {
      await expectServed(`${method} /public/outer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, [
        `${method} /public/outer`,
      ])
    },
  )

  // An upstream answers TRACE with what it was sent: the cookies that a script may not read, and who the
  // gateway says is calling.
  it.each(['/public/outer', '/private/outer'])('of TRACE never reaches an upstream (%s)', async (path) => {
    const before = upstream.seen()
    const answer = await exchange(
      gateway.url,
      `TRACE ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokens.alice}\r\nConnection: close\r\n\r\n`,
    )
    expect([outcomes(answer), upstream.seen()]).toEqual([['405 method_not_allowed'], before])
  })

  it.each(['example.com:443', '127.0.0.1:22', '/public/outer', 'x'])(
    'of CONNECT opens no tunnel to %s, and its connection ends',
    async (target) => {
      const before = upstream.seen()
      const answer = await exchange(gateway.url, `CONNECT ${target} HTTP/1.1\r\nHost: x\r\n\r\n${poison}`)
      expect([
        outcomes(answer).filter((one) => one.startsWith('2')),
        answer.isClosed,
        upstream.seen(),
      ]).toEqual([[], true, before])
      await expectWell()
    },
  )

  it('of CONNECT gets a response', async () => {
    const answer = await exchange(gateway.url, `CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n`)
    expect(outcomes(answer)).toEqual([expect.stringMatching(/^4\d\d [a-z_]+$/)])
    expectProblem(answer)
  })

  it('that is malformed gets a response with Connection: close', async () => {
    const [answer] = (await exchange(gateway.url, 'rubbish\r\n\r\n')).answers
    expect(answer?.headers).toMatchObject({ connection: ['close'], 'cache-control': ['no-store'] })
  })

  it('may come after empty lines', async () => {
    await expectServed(`\r\n\r\n${get('/public/outer', 'Connection: close')}`, ['GET /public/outer'])
  })
})

describe('a client of HTTP/1.0', () => {
  it('is answered without Host, and its connection ends', async () => {
    await expectServed('GET /public/outer HTTP/1.0\r\n\r\n', ['GET /public/outer'])
    await expectWell()
  })

  it('keeps its connection where it asks for it, for as many requests as it likes', async () => {
    const first = 'GET /public/first HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'
    await expectServed(`${first}${first.replace('first', 'second')}GET /public/third HTTP/1.0\r\n\r\n`, [
      'GET /public/first',
      'GET /public/second',
      'GET /public/third',
    ])
  })

  it('is sent no chunks', async () => {
    upstream.answerWith((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
    })
    const answer = await exchange(gateway.url, 'GET /public/outer HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    expect([outcomes(answer), answer.isClosed]).toEqual([['200 hello'], true])
    expect(answer.answers[0]?.headers).not.toHaveProperty('transfer-encoding')
  })

  // Without a length the connection's end is the answer's end: only a reset tells that it came too early.
  it('is shown by a reset that an answer without length was cut', async () => {
    const theirs: Socket[] = []
    upstream.answerWith((socket) => {
      theirs.push(socket)
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    })
    const socket = await openSocket(gateway.url)
    const events: string[] = []
    socket.on('error', () => events.push('error')).on('end', () => events.push('end'))
    socket.write('GET /public/outer HTTP/1.0\r\n\r\n')
    for (let text = ''; !text.endsWith('hello');) text += String((await once(socket, 'data'))[0])
    const closed = new Promise((resolve) => socket.once('close', resolve))
    theirs[0]?.destroy()
    await closed
    expect(events).toEqual(['error'])
  })
})

describe('requests on one connection', () => {
  it('each reach the upstream once, and are answered in their order', async () => {
    upstream.answerWith((socket, { method, target }) => {
      setTimeout(() => socket.write(plainResponse(`${method} ${target}`)), target.endsWith('1') ? 100 : 0)
    })
    const first = post(['Content-Length: 5'], 'hello', 'POST /public/1 HTTP/1.1')
    const third = post([chunked], '5\r\nworld\r\n0\r\n\r\n', 'PUT /public/3 HTTP/1.1')
    const expected = ['POST /public/1', 'GET /public/2', 'PUT /public/3', 'GET /public/4']
    await expectServed(first + get('/public/2') + third + get('/public/4', 'Connection: close'), expected, {
      '/public/1': 'hello',
      '/public/3': 'world',
    })
  })

  it('that are refused one by one leave it in step: each gets its own answer', async () => {
    const before = upstream.requests.length
    const answer = await exchange(
      gateway.url,
      [
        get('/public/1'),
        get('/private/no-token'),
        get('/nowhere'),
        get('/public/../up'),
        post([`Content-Length: ${poison.length}`], poison, 'POST /private/no-token HTTP/1.1'),
        get('/private/2', `Authorization: Bearer ${tokens.alice}`),
        get('/private/no-token'),
        get('/private/3', `Authorization: Bearer ${tokens.bob}`, 'Connection: close'),
      ].join(''),
    )
    expect(outcomes(answer)).toEqual([
      '200 GET /public/1',
      '401 authentication_required',
      '404 not_found',
      '400 path_ambiguous',
      '401 authentication_required',
      '200 GET /private/2',
      '401 authentication_required',
      '200 GET /private/3',
    ])
    const names = Object.fromEntries(
      upstream.requests.slice(before).map((one) => [one.target, valuesOf(one, 'X-Username')]),
    )
    expect(names).toEqual({ '/public/1': [], '/private/2': ['alice'], '/private/3': ['bob'] })
    await expectWell()
  })

  // RFC 9112 §9.3.2: only safe methods may be processed in parallel. A client that reads what it has written
  // relies on it.
  it('begin at the upstream only when an unsafe one before them has been answered', async () => {
    const events: string[] = []
    upstream.answerWith((socket, { method }) => {
      events.push(`${method} came`)
      setTimeout(() => {
        events.push(`${method} answered`)
        socket.write(plainResponse(method))
      }, 100)
    })
    expect(
      outcomes(
        await exchange(
          gateway.url,
          post(['Content-Length: 5'], 'hello') + get('/public/second', 'Connection: close'),
        ),
      ),
    ).toEqual(['200 POST', '200 GET'])
    expect(events).toEqual(['POST came', 'POST answered', 'GET came', 'GET answered'])
  })

  // The first one has been served: to tell its sender 400 invites to do it again.
  it.each([
    ['rubbish', 'rubbish\r\n\r\n'],
    ['a request that two programs could read differently', post(['Content-Length: 5', chunked], hidden)],
    ['a request of another version', `GET /public/x HTTP/1.2\r\nHost: x\r\n\r\n`],
  ])('that are well-formed are answered before %s behind them is refused', async (_, bad) => {
    const before = upstream.requests.length
    const answer = await exchange(gateway.url, post(['Content-Length: 5'], 'hello') + bad)
    expect(upstream.requests.slice(before).map(({ target, body }) => [target, body])).toEqual([
      ['/public/outer', 'hello'],
    ])
    expect([outcomes(answer), answer.rest, answer.isClosed]).toEqual([
      ['200 POST /public/outer', '400 request_malformed'],
      '',
      true,
    ])
  })

  it.each([
    ['a request', poison],
    ['rubbish', 'rubbish\r\n\r\n'],
    ['what was too much of a body', 'XYZ'],
  ])('end with the answer to one that says Connection: close, whatever follows: %s', async (_, behind) => {
    const before = upstream.requests.length
    const answer = await exchange(
      gateway.url,
      post(['Content-Length: 5', 'Connection: close'], 'hello') + behind,
    )
    expect([outcomes(answer), answer.rest, answer.isClosed]).toEqual([['200 POST /public/outer'], '', true])
    expect(upstream.requests.slice(before).map(({ target }) => target)).toEqual(['/public/outer'])
  })

  it.each([
    ['rubbish', 'rubbish\r\n\r\n'],
    ['a request that two programs could read differently', post(['Content-Length: 5', chunked], hidden)],
  ])('that are well-formed reach the upstream once, and %s behind them never', async (_, bad) => {
    const before = upstream.requests.length
    const answer = await exchange(gateway.url, post(['Content-Length: 5'], 'hello') + bad)
    expect(answer.isClosed).toBe(true)
    await until(() => Promise.resolve(upstream.requests.length > before || undefined))
    expect(upstream.requests.slice(before).map(({ target, body }) => [target, body])).toEqual([
      ['/public/outer', 'hello'],
    ])
    await expectWell()
  })

  // What is no request as the protocol has it is refused together with its connection, so that nobody has to
  // agree on where the next one begins.
  it.each([
    ['no Host', 'GET /public/outer HTTP/1.1\r\n\r\n', '400 request_malformed'],
    [
      '201 header lines',
      get('/public/outer', ...Array.from({ length: 200 }, (_, index) => `X-${index}: 1`)),
      '431 headers_too_large',
    ],
    [
      'an expectation that nobody knows',
      post(['Expect: miracles', 'Content-Length: 5'], 'hello'),
      '417 expectation_failed',
    ],
    [
      'two expectations',
      post(['Expect: 100-continue', 'Expect: 100-continue', 'Content-Length: 5'], 'hello'),
      '417 expectation_failed',
    ],
  ])('end with one that is malformed: requests behind %s are not served', async (_, bytes, outcome) => {
    await expectRefused(bytes + poison, outcome)
  })
})

describe('100 Continue', () => {
  const head = (path: string, version: string, ...lines: string[]) =>
    [`POST ${path} HTTP/${version}`, 'Host: x', 'Expect: 100-continue', ...lines, '', ''].join('\r\n')

  it('is sent when the request has been let in, and not before', async () => {
    const socket = await openSocket(gateway.url)
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.write(
      head(
        '/private/outer',
        '1.1',
        `Authorization: Bearer ${tokens.alice}`,
        'Content-Length: 5',
        'Connection: close',
      ),
    )
    await until(() => Promise.resolve(text !== '' || undefined))
    expect(text).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    const before = upstream.requests.length
    socket.write('hello')
    await once(socket, 'close')
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*POST \/private\/outer$/)
    expect(upstream.requests.slice(before).map(({ body }) => body)).toEqual(['hello'])
    expect(valuesOf(upstream.last(), 'Expect')).toEqual([])
  })

  it.each([
    ['without a token', '/private/outer', [], '401 authentication_required'],
    ['with a bad token', '/private/outer', ['Authorization: Bearer x.y.z'], '401 token_invalid'],
    ['to an unknown path', '/nowhere', [], '404 not_found'],
    ['to an ambiguous path', '/public/../outer', [], '400 path_ambiguous'],
    ['with too long a body', '/small/outer', ['Content-Length: 11'], '413 body_too_large'],
    ['with a Host twice', '/public/outer', ['Host: y'], '400 header_ambiguous'],
    [
      'to an endpoint that takes another type',
      '/auth/login',
      ['Content-Type: text/plain'],
      '415 unsupported_media_type',
    ],
    ['by a method that is not there', '/auth/me', [], '405 method_not_allowed'],
  ])(
    'is not sent if the request is refused %s, and bytes in place of its body are not served',
    async (_, path, lines, outcome) => {
      const before = upstream.seen()
      const length = lines.some((line) => line.startsWith('Content-Length'))
        ? []
        : [`Content-Length: ${poison.length}`]
      for (const rest of ['', poison]) {
        const answer = await exchange(gateway.url, head(path, '1.1', ...lines, ...length) + rest)
        expect([outcomes(answer), answer.interim, answer.isClosed]).toEqual([[outcome], [], true])
        expectProblem(answer)
      }
      expect(upstream.seen()).toEqual(before)
      await expectWell()
    },
  )

  it.each([
    ['accepted', '/public/outer', '200 POST /public/outer'],
    ['refused', '/private/outer', '401 authentication_required'],
  ])('is never sent to a client of HTTP/1.0 (%s)', async (_, path, outcome) => {
    const answer = await exchange(gateway.url, `${head(path, '1.0', 'Content-Length: 5')}hello`)
    expect([outcomes(answer), answer.interim]).toEqual([[outcome], []])
  })

  it('is not waited for: a client may send its body at once', async () => {
    const answer = await exchange(
      gateway.url,
      `${head('/public/outer', '1.1', chunked, 'Connection: close')}5\r\nhello\r\n0\r\n\r\n`,
    )
    expect([outcomes(answer), answer.interim, upstream.last().body]).toEqual([
      ['200 POST /public/outer'],
      [100],
      'hello',
    ])
  })

  it('expected without a body ends the connection with the answer; later bytes are not served', async () => {
    await expectServed(
      get('/public/outer', 'Expect: 100-continue') + get('/public/second', 'Connection: close'),
      ['GET /public/outer'],
    )
  })
})

describe('an upgrade that the gateway does not know', () => {
  const h2c = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']
  const webSocket = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ]

  it.each([
    ['h2c', get('/public/outer', ...h2c), 'GET'],
    ['h2c by POST', post([...h2c, 'Content-Length: 5'], 'hello'), 'POST'],
    ['h2c by POST in chunks', post([...h2c, chunked], '5\r\nhello\r\n0\r\n\r\n'), 'POST'],
    ['a WebSocket by POST', post([...webSocket, 'Content-Length: 5'], 'hello'), 'POST'],
    [
      'a WebSocket by GET with a body',
      get('/public/outer', ...webSocket, 'Content-Length: 5') + 'hello',
      'GET',
    ],
    ['several', get('/public/outer', 'Connection: Upgrade', 'Upgrade: h2c, TLS/1.0, websocket'), 'GET'],
  ])('is served as HTTP/1.1 or refused, never switched, never passed on: %s', async (_, bytes, method) => {
    const before = upstream.requests.length
    const answer = await exchange(gateway.url, bytes, { patienceMs: 300 })
    expect([answer.interim, answer.answers.length]).toEqual([[], 1])
    if (answer.answers[0]?.status === 200)
      expect(upstream.requests.slice(before)).toMatchObject([
        { method, target: '/public/outer', body: bytes.includes('hello') ? 'hello' : '' },
      ])
    else expect(upstream.requests).toHaveLength(before)
    for (const one of upstream.requests.slice(before))
      for (const name of ['Upgrade', 'HTTP2-Settings']) expect(valuesOf(one, name)).toEqual([])
    await expectWell()
  })

  it('leaves no HTTP2-Settings to the upstream where Connection does not name it', async () => {
    await exchange(gateway.url, get('/public/outer', 'Connection: close', 'HTTP2-Settings: AAMAAABkAAQAAP__'))
    expect(valuesOf(upstream.last(), 'HTTP2-Settings')).toEqual([])
  })

  // Node drops what stands behind such a request in the same segment, and reads the next segment as if
  // nothing had been there.
  it.each([
    ['h2c', h2c],
    ['websocket', webSocket],
  ])('loses nothing: the next request is served, or the connection ends (%s)', async (_, lines) => {
    const before = upstream.requests.length
    const answer = await exchange(
      gateway.url,
      get('/public/outer', ...lines) + get('/public/second', 'Connection: close'),
      { patienceMs: 500 },
    )
    expect([answer.isClosed, answer.answers.length]).toEqual([true, upstream.requests.length - before])
  })

  it('cannot hide half a request', async () => {
    const socket = await openSocket(gateway.url)
    const before = upstream.requests.length
    socket.write(
      post([...h2c, 'Content-Length: 5'], 'hello') +
        `POST /public/second HTTP/1.1\r\nHost: x\r\nContent-Length: ${poison.length}\r\n\r\n`,
    )
    await once(socket, 'data')
    socket.write(poison) // the second one's body
    await Promise.race([once(socket, 'close'), once(socket, 'data')])
    socket.destroy()
    expect(upstream.requests.slice(before).map(({ target }) => target)).not.toContain('/public/poison')
  })
})

describe('an upstream that answers before it has the whole body', () => {
  it.each([
    ['of announced length', [`Content-Length: ${poison.length}`], poison],
    ['in chunks', [chunked], `${poison.length.toString(16)}\r\n${poison}\r\n0\r\n\r\n`],
  ])('gets through, and the rest of the body is never read as a request (%s)', async (_, lines, body) => {
    const before = upstream.requests.length
    upstream.answerHeads((socket) => socket.write(plainResponse('enough')))
    const socket = await openSocket(gateway.url)
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.write(post(lines, body.slice(0, 10)))
    await until(() => Promise.resolve(text.endsWith('enough') || undefined))
    const theirs =
      upstream.sockets[upstream.received.findLastIndex((bytes) => bytes.includes('/public/outer'))]
    socket.write(body.slice(10) + get('/public/second', 'Connection: close'))
    await once(socket, 'close')
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200'])
    // that connection is not used again
    await until(() => Promise.resolve(theirs?.destroyed === true || undefined))
    expect(upstream.requests.slice(before).map(({ target }) => target)).not.toContain('/public/poison')
    upstream.received.fill('') // the body has come there as a body
    await expectWell()
  })
})

describe('a malformed answer of an upstream', () => {
  const answerOf = (lines: string[], body = '', status = '200 OK') =>
    [`HTTP/1.1 ${status}`, ...lines, '', body].join('\r\n')
  const inChunks = '5\r\nhello\r\n0\r\n\r\n'

  /** Asks while the upstream answers with these bytes. */
  async function ask(bytes: string, then: (socket: Socket) => void = () => undefined) {
    const before = upstream.requests.length
    upstream.answerWith((socket) => {
      socket.write(Buffer.from(bytes, 'latin1'), () => then(socket))
    })
    const answer = await exchange(gateway.url, get('/public/outer', 'Connection: close'))
    // asked once, whatever came
    expect(upstream.requests.slice(before).map(({ target }) => target)).toEqual(['/public/outer'])
    return answer
  }

  it.each([
    ['a length and chunks', answerOf(['Content-Length: 5', chunked], inChunks)],
    ['chunks and a length', answerOf([chunked, 'Content-Length: 5'], inChunks)],
    ['two lengths', answerOf(['Content-Length: 5', 'Content-Length: 6'], 'hello!')],
    ['two equal lengths', answerOf(['Content-Length: 5', 'Content-Length: 5'], 'hello')],
    ['a list of lengths', answerOf(['Content-Length: 5, 5'], 'hello')],
    ['a length with a plus', answerOf(['Content-Length: +5'], 'hello')],
    ['a negative length', answerOf(['Content-Length: -1'], 'hello')],
    ['a coding and a length', answerOf(['Transfer-Encoding: identity', 'Content-Length: 2'], 'hello')],
    ['a blank before the colon', answerOf(['Transfer-Encoding : chunked'], inChunks)],
    ['a folded header', answerOf(['X-A: a', ' Set-Cookie: auth_token=stolen', 'Content-Length: 2'], 'ok')],
    ['a header behind CR', answerOf(['X-A: a\rSet-Cookie: auth_token=stolen', 'Content-Length: 2'], 'ok')],
    ['a header behind LF', answerOf(['X-A: a\nSet-Cookie: auth_token=stolen', 'Content-Length: 2'], 'ok')],
    ['NUL in a header', answerOf(['X-A: a\0b', 'Content-Length: 2'], 'ok')],
    ['a control character in a header', answerOf(['X-A: a\x01b', 'Content-Length: 2'], 'ok')],
    [
      'headers of more than 64 KiB',
      answerOf(
        [...Array.from({ length: 200 }, (_, index) => `X-${index}: ${'y'.repeat(400)}`), 'Content-Length: 2'],
        'ok',
      ),
    ],
    ['a header without end', `HTTP/1.1 200 OK\r\nX-A: ${'y'.repeat(300_000)}`],
    ['100 that nobody asked for, alone', answerOf([], '', '100 Continue')],
    [
      '101 that nobody asked for',
      answerOf(['Connection: Upgrade', 'Upgrade: websocket'], 'hello', '101 Switching Protocols'),
    ],
    ['101 and an answer', answerOf([], '', '101 Switching Protocols') + plainResponse('stolen')],
    ['the status 000', answerOf(['Content-Length: 2'], 'ok', '000 OK')],
    ['the status 099', answerOf(['Content-Length: 2'], 'ok', '099 OK')],
    ['a status of four digits', answerOf(['Content-Length: 2'], 'ok', '2000 OK')],
    ['a status in words', answerOf(['Content-Length: 2'], 'ok', 'fine')],
    ['no head', 'hello world, this is no HTTP\r\n\r\n'],
    ['a request', get('/public/stolen')],
    ['another version', 'HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ])('%s is 502, and nothing of it comes through', async (_, bytes) => {
    const answer = await ask(bytes)
    expect([outcomes(answer), answer.interim, answer.isClosed]).toEqual([['502 upstream_failed'], [], true])
    expectProblem(answer)
    expect(answer.text).not.toMatch(/stolen|hello|set-cookie|x-a/i)
    await expectWell()
  })

  it.each(['102 Processing', '103 Early Hints', '199 Whatever'])(
    '%s is not forwarded, nor are its headers, but the answer behind it is',
    async (status) => {
      const answer = await ask(
        answerOf(['Link: </a>; rel=preload', 'Set-Cookie: auth_token=stolen', 'X-A: 1'], '', status).repeat(
          50,
        ) + plainResponse('final'),
      )
      expect([outcomes(answer), answer.interim]).toEqual([['200 final'], []])
      expect(answer.text).not.toMatch(/stolen|preload|x-a/i)
      await expectWell()
    },
  )

  it('interim answers and nothing else are 504 in the route’s time', async () => {
    upstream.answerWith((socket) => {
      socket.write(answerOf([], '', '103 Early Hints'))
    })
    expect(outcomes(await exchange(gateway.url, get('/hurried/outer', 'Connection: close')))).toEqual([
      '504 upstream_timeout',
    ])
    await expectWell()
  })

  it('a body that is longer than announced is as long as announced', async () => {
    const answer = await ask(answerOf(['Content-Length: 5'], `hello${plainResponse('stolen')}`))
    expect([outcomes(answer), answer.rest]).toEqual([['200 hello'], ''])
    await expectWell()
  })

  it.each([
    [
      'its end',
      '5\r\nhello\r\n',
      (socket: Socket) => {
        socket.end()
      },
    ],
    [
      'its reset',
      '5\r\nhello\r\n',
      (socket: Socket) => {
        socket.resetAndDestroy()
      },
    ],
    [
      'its end inside a chunk',
      '5\r\nhello\r\n9\r\nhel',
      (socket: Socket) => {
        socket.end()
      },
    ],
    [
      'its end before the last line',
      '5\r\nhello\r\n0\r\n',
      (socket: Socket) => {
        socket.end()
      },
    ],
    ['a chunk size that is none', '5\r\nhello\r\nzz\r\n', () => undefined],
    ['LF alone', '5\r\nhello\r\n0\n\n', () => undefined],
    ['silence', '5\r\nhello\r\n', () => undefined],
  ])('a chunked body that is cut by %s never looks whole', async (_, body, then) => {
    const answer = await ask(answerOf([chunked], body), then)
    expect([answer.answers, answer.isClosed]).toEqual([[], true])
    expect(answer.rest).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*hello/)
    expect(answer.rest).not.toMatch(/\r\n0\r\n|upstream_failed/)
    await expectWell()
  })

  it('trailers are not passed on', async () => {
    const answer = await ask(
      answerOf(
        [chunked, 'Trailer: Set-Cookie'],
        '5\r\nhello\r\n0\r\nSet-Cookie: auth_token=stolen\r\nX-User-Id: stolen\r\n\r\n',
      ),
    )
    expect(outcomes(answer)).toEqual(['200 hello'])
    expect(answer.text).not.toMatch(/stolen|trailer/i)
  })

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'a header of the name %s is a header like others',
    async (name) => {
      const answer = await ask(answerOf([`${name}: 1`, `${name}: 2`, 'Content-Length: 2'], 'ok'))
      expect(outcomes(answer)).toEqual(['200 ok'])
      expect(answer.text.toLowerCase().split(`${name.toLowerCase()}: `)).toHaveLength(3)
    },
  )

  it.each([
    ['auth_token=stolen'],
    [' auth_token=stolen; Path=/'],
    ['\tauth_token\t=stolen'],
    ['auth_token =stolen'],
    ['=auth_token=stolen'],
    ['= auth_token =stolen'],
    ['auth_token==stolen'],
    ['auth_token;stolen'],
    ['refresh_token=stolen; Path=/auth'],
    ['portal_session=stolen; Domain=example.com'],
    ['auth_token\xa0=stolen'],
  ])('a cookie of the gateway’s name is not set: Set-Cookie: %j', async (cookie) => {
    for (const name of ['Set-Cookie', 'set-cookie', 'SET-COOKIE']) {
      const answer = await ask(
        answerOf(['Set-Cookie: theme=dark', `${name}: ${cookie}`, 'Content-Length: 2'], 'ok'),
      )
      expect(answer.answers.map(({ headers }) => headers['set-cookie'])).toEqual([['theme=dark']])
      expect(answer.text).not.toContain('stolen')
    }
  })

  const eightBit = 'attachment; filename="m\xfcller \xe6\x9d\xb1.txt"'
  it('a header’s 8-bit bytes come through as they are, where the answer has a length', async () => {
    const answer = await ask(answerOf([`Content-Disposition: ${eightBit}`, 'Content-Length: 2'], 'ok'))
    expect(answer.answers[0]?.headers['content-disposition']).toEqual([eightBit])
  })

  // Node writes a head as UTF-8 when it is flushed alone.
  it('a header’s 8-bit bytes come through as they are, where the answer comes in chunks', async () => {
    const answer = await ask(answerOf([`Content-Disposition: ${eightBit}`, chunked], '2\r\nok\r\n0\r\n\r\n'))
    expect(answer.answers[0]?.headers['content-disposition']).toEqual([eightBit])
  })

  // RFC 9110 §8.6: a 304 may say how long the answer would have been that it stands for.
  it('304 with a length is 304', async () => {
    const answer = await ask(answerOf(['Content-Length: 5', 'ETag: "e"'], '', '304 Not Modified'))
    expect([outcomes(answer), answer.rest, answer.answers[0]?.headers.etag]).toEqual([['304'], '', ['"e"']])
  })

  // The same section: 204 has no length, and a client that believes one would wait for a body.
  it.each(['0', '5'])('204 with the length %s is 204 without', async (length) => {
    const answer = await ask(answerOf([`Content-Length: ${length}`], '', '204 No Content'))
    expect([outcomes(answer), answer.rest]).toEqual([['204'], ''])
    expect(answer.answers[0]?.headers).not.toHaveProperty('content-length')
  })

  // RFC 9110 §15.2 has clients pass it over, but undici takes it for a broken answer.
  it('an unexpected 100 is 502, and the bytes behind it answer no request', async () => {
    expect(outcomes(await ask(answerOf([], '', '100 Continue') + plainResponse('final')))).toEqual([
      '502 upstream_failed',
    ])
    await expectWell()
  })

  // The gzip inside is of the transfer: without its header nobody can undo it.
  it('a coding of the transfer that is not undone is 502', async () => {
    expect(outcomes(await ask(answerOf(['Transfer-Encoding: gzip, chunked'], inChunks)))).toEqual([
      '502 upstream_failed',
    ])
  })
})

describe('an unrequested second answer never reaches another caller', () => {
  const headOf = (status: string, ...lines: string[]) => [`HTTP/1.1 ${status}`, ...lines, '', ''].join('\r\n')
  const stolen = plainResponse('stolen')
  const ask = (user: 'alice' | 'bob', path: string, method = 'GET') =>
    exchange(
      gateway.url,
      get(path, `Authorization: Bearer ${tokens[user]}`, 'Connection: close').replace('GET', method),
    )

  /** Lets `attack` answer alice; everybody else is told who they are. */
  function attackAlice(attack: (socket: Socket) => void) {
    const attacked: Socket[] = []
    upstream.answerWith((socket, request) => {
      const [user = ''] = valuesOf(request, 'X-Username')
      if (user !== 'alice' || attacked.length > 0) {
        socket.write(plainResponse(`for ${user}`))
        return
      }
      attacked.push(socket)
      attack(socket)
    })
    return attacked
  }

  async function expectUntouched() {
    for (const user of ['bob', 'alice', 'bob'] as const)
      expect(outcomes(await ask(user, '/private/next'))).toEqual([`200 for ${user}`])
    expect(
      await Promise.all(Array.from({ length: 5 }, async () => outcomes(await ask('bob', '/private/next')))),
    ).toEqual(Array.from({ length: 5 }, () => ['200 for bob']))
  }

  it.each([
    ['behind the first, in the same segment', `${plainResponse('mine')}${stolen}`, '200 mine'],
    ['behind the last chunk', `${headOf('200 OK', chunked)}4\r\nmine\r\n0\r\n\r\n${stolen}`, '200 mine'],
    ['as a body of 204', `${headOf('204 No Content')}${stolen}`, '204'],
    ['as a body of 304', `${headOf('304 Not Modified')}${stolen}`, '304'],
    ['behind a body of length 0', `${headOf('200 OK', 'Content-Length: 0')}${stolen}`, '200'],
    ['as rubbish behind the first', `${plainResponse('mine')}rubbish`, '200 mine'],
    ['as half a head', `${plainResponse('mine')}HTTP/1.1 200 OK\r\nX-A: `, '200 mine'],
    ['as an interim one', `${plainResponse('mine')}${headOf('103 Early Hints', 'X-A: 1')}`, '200 mine'],
  ])('%s', async (_, bytes, outcome) => {
    const attacked = attackAlice((socket) => socket.write(bytes))
    expect(outcomes(await ask('alice', '/private/first'))).toEqual([outcome])
    await expectUntouched()
    // nobody uses that connection again
    await until(() => Promise.resolve(attacked[0]?.destroyed === true || undefined))
  })

  it('in place of the body that HEAD does not have', async () => {
    attackAlice((socket) => socket.write(`${headOf('200 OK', `Content-Length: ${stolen.length}`)}${stolen}`))
    expect((await ask('alice', '/private/first', 'HEAD')).text).not.toContain('stolen')
    await expectUntouched()
  })

  it.each([
    ['an answer', stolen],
    ['half an answer', 'HTTP/1.1 200 OK\r\nX-A: '],
    ['rubbish', 'rubbish'],
    ['101', headOf('101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: x')],
  ])('on a connection that waits for its next request: %s', async (_, bytes) => {
    const attacked = attackAlice((socket) => socket.write(plainResponse('mine')))
    expect(outcomes(await ask('alice', '/private/first'))).toEqual(['200 mine'])
    const [socket] = attacked
    if (!socket) throw new Error('alice’s request has not come')
    const closed = once(socket, 'close')
    socket.write(bytes)
    await closed // the gateway has seen it, and drops the connection
    await expectUntouched()
  })
})
