import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { callerHeaders, foldedName } from '../support/caller-headers.js'
import { instances, mandates, tokenFor, users } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import {
  exchange,
  outcomes,
  startRawUpstream,
  valuesOf,
  type RawRequest,
  type RawUpstream,
} from '../support/raw-http.js'

const routesTo = (url: string) => `
upstreams: { own: { targets: ['${url}'] } }
routes:
  /public: { upstream: own, auth: public }
  /optional: { upstream: own, auth: optional, mandate: optional, instance: optional }
  /private: { upstream: own }
  /crm: { upstream: own, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
`

/**
 * What may stand in a header's name beside letters and digits (RFC 9110 §5.6.2): to a program that makes
 * variables of names, each is like a dash.
 */
const separators = Array.from("!#$%&'*+-.^_`|~")
const poison = 'GET /public/poison HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
const request = (line: string, lines: string[], body = '') =>
  [`${line} HTTP/1.1`, 'Host: x', ...lines, '', body].join('\r\n')

let upstream: RawUpstream
let gateway: TestGateway
let tokens: Record<'alice' | 'bob', string>
let asAlice: string
beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startTestGateway({ routes: routesTo(upstream.url) })
  tokens = {
    alice: (await tokenFor(gateway.database, 'alice')).token,
    bob: (await tokenFor(gateway.database, 'bob')).token,
  }
  asAlice = `Authorization: Bearer ${tokens.alice}`
})
beforeEach(async () => {
  // what the test before had under way has come by now
  await exchange(gateway.url, request('GET /public/settled', ['Connection: close']))
  upstream.received.fill('')
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

/** Sends one request and answers what the upstream got of it. */
async function sent(line: string, lines: string[], body = ''): Promise<RawRequest> {
  const before = upstream.requests.length
  const hasConnection = lines.some((one) => /^connection:/i.test(one))
  expect(
    outcomes(
      await exchange(
        gateway.url,
        request(line, hasConnection ? lines : [...lines, 'Connection: close'], body),
      ),
    ),
  ).toEqual([`200 ${line}`])
  expect(upstream.requests).toHaveLength(before + 1)
  return upstream.last()
}

/** One answer, nothing for the upstream, and the next connection is served. */
async function expectRefused(bytes: string, outcome: string) {
  const before = upstream.seen()
  const answer = await exchange(gateway.url, bytes, { patienceMs: 1000 })
  expect([outcomes(answer), answer.rest, answer.isClosed]).toEqual([[outcome], '', true])
  expect(answer.answers[0]?.headers['content-type']).toEqual([
    expect.stringMatching(/^application\/problem\+json\b/),
  ])
  expect(upstream.seen()).toEqual(before)
  await sent('GET /public/next', [])
  expect(upstream.received.join('')).not.toContain('poison')
}

/** The identity headers that a request carries, as a forgiving upstream reads their names. */
const identityOf = ({ lines }: RawRequest) =>
  lines.filter((line) => callerHeaders.map(foldedName).includes(foldedName(line.slice(0, line.indexOf(':')))))

describe.each(callerHeaders)('%s of a client', (name) => {
  const good =
    name === 'X-Mandate-Id' ? mandates.globex : name === 'X-Instance-Id' ? instances.globexCrm : 'spoofed'
  const same = [name, name.toLowerCase(), name.toUpperCase()]
  const alike = [
    name.replaceAll('-', '_'),
    name.replaceAll('-', '.'),
    name.replace('-', '_'),
    name.replace('-', '.').replaceAll('-', '_'),
    name.toLowerCase().replaceAll('-', '~'),
  ]
  const spellings = [...same, ...alike]
  /** Sent twice by their own name, these two are refused. */
  const isSingle = name === 'X-Mandate-Id' || name === 'X-Instance-Id'

  it.each(['', ' \t '])(
    'never reaches the upstream, whatever blanks stand around it (%j)',
    async (blanks) => {
      for (const spelling of spellings) {
        for (const path of ['/public/x', '/optional/x']) {
          expect([
            spelling,
            identityOf(await sent(`GET ${path}`, [`${spelling}:${blanks}${good}${blanks}`])),
          ]).toEqual([spelling, []])
        }
        const mine = await sent('GET /private/x', [asAlice, `${spelling}:${blanks}${good}${blanks}`])
        expect([spelling, identityOf(mine).filter((line) => line.includes(good))]).toEqual([spelling, []])
        expect(valuesOf(mine, 'X-User-Id')).toEqual([users.alice])
      }
    },
  )

  it('never reaches the upstream empty', async () => {
    for (const spelling of spellings)
      expect([spelling, identityOf(await sent('GET /public/x', [`${spelling}:`]))]).toEqual([spelling, []])
  })

  it('never reaches the upstream in all spellings at once, each twice', async () => {
    const twice = [...(isSingle ? [] : same), ...alike].flatMap((spelling) => [
      `${spelling}: ${good}`,
      `${spelling}: 2`,
    ])
    const lines = [...twice, `${name}: ${good}`]
    expect(identityOf(await sent('GET /public/x', lines))).toEqual([])
    expect(identityOf(await sent('POST /public/x', ['Content-Length: 5', ...lines], 'hello'))).toEqual([])
  })

  it('never reaches the upstream beside the gateway’s own where Connection names it', async () => {
    const mine = await sent('GET /private/x', [
      asAlice,
      `Connection: close, ${name}, ${name.replaceAll('-', '_')}`,
      `${name}: ${good}`,
      `${name.replaceAll('-', '_')}: ${good}`,
    ])
    expect(JSON.stringify(mine.lines)).not.toContain(good)
    expect(valuesOf(mine, 'X-User-Id')).toEqual([users.alice])
  })
})

describe('the caller that the upstream receives', () => {
  it('is the gateway’s, in any spelling of the header', async () => {
    const spelling = fc
      .tuple(
        fc.constantFrom(...callerHeaders),
        fc.array(fc.tuple(fc.constantFrom(...separators), fc.boolean()), { minLength: 24, maxLength: 24 }),
      )
      .map(([name, choices]) =>
        Array.from(name, (character, index) => {
          const [separator, upper] = choices[index % choices.length] ?? ['-', false]
          return character === '-' ? separator : upper ? character.toUpperCase() : character.toLowerCase()
        }).join(''),
      )
      // these two ask for a place, and are tested elsewhere
      .filter((name) => !/^x-(?:mandate|instance)-id$/i.test(name))
    await fc.assert(
      fc.asyncProperty(
        fc.array(spelling, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        async (names, isAnonymous) => {
          const lines = names.map((name) => `${name}: spoofed`)
          const came = await sent(
            isAnonymous ? 'GET /public/x' : 'GET /private/x',
            isAnonymous ? lines : [asAlice, ...lines],
          )
          expect(came.lines.filter((line) => line.includes('spoofed'))).toEqual([])
          expect(
            identityOf(came)
              .map((line) => line.slice(0, line.indexOf(':')))
              .sort(),
          ).toEqual(
            isAnonymous
              ? []
              : ['X-Authority', 'X-Gateway-Identity', 'X-Session-Id', 'X-User-Id', 'X-Username'],
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  it.each([
    ['X-Mandate-Id', mandates.acme],
    ['X-Instance-Id', instances.acmeCrm],
  ])('a place that is named twice is refused, in any spelling of the same name: %s', async (name, id) => {
    const mandate = name === 'X-Mandate-Id' ? [] : [`X-Mandate-Id: ${mandates.acme}`]
    for (const second of [name, name.toLowerCase(), name.toUpperCase()]) {
      for (const value of [id, mandates.globex, '']) {
        await expectRefused(
          request('GET /crm/x', [
            asAlice,
            ...mandate,
            `${name}: ${id}`,
            `${second}: ${value}`,
            'Connection: close',
          ]),
          '400 header_ambiguous',
        )
      }
    }
  })

  it.each([
    `${mandates.acme}, ${mandates.globex}`,
    `${mandates.acme},`,
    `"${mandates.acme}"`,
    `${mandates.acme};`,
    `\xa0${mandates.acme}`,
    `${mandates.acme}\xa0`,
    mandates.acme.replace('0', '\xb2'),
  ])('an ambiguous place is refused: %j', async (value) => {
    await expectRefused(
      request('GET /crm/x', [asAlice, `X-Mandate-Id: ${value}`, 'Connection: close']),
      '400 mandate_id_invalid',
    )
  })

  it('a place in another spelling of the header is ignored', async () => {
    await expectRefused(
      request('GET /crm/x', [asAlice, `X_Mandate_Id: ${mandates.acme}`, 'Connection: close']),
      '400 mandate_required',
    )
    const came = await sent('GET /crm/x', [
      asAlice,
      `X_Mandate_Id: ${mandates.globex}`,
      `X-Mandate-Id: ${mandates.acme}  \t`,
      `X.Mandate.Id: ${mandates.globex}`,
    ])
    expect(came.lines.filter((line) => line.includes(mandates.globex))).toEqual([])
    expect(valuesOf(came, 'X-Mandate-Id')).toEqual([mandates.acme])
  })

  it('a token that is named twice is refused', async () => {
    await expectRefused(
      request('GET /private/x', [asAlice, `authorization: Bearer ${tokens.bob}`, 'Connection: close']),
      '400 header_ambiguous',
    )
  })
})

describe('Connection', () => {
  it.each([
    'X-User-Id',
    'close, X-User-Id',
    'X-Mandate-Id, close',
    'close, X-Mandate-Id, Authorization, Content-Length, Transfer-Encoding, Host, Cookie',
    'CLOSE,x-mandate-id,AUTHORIZATION,content-length,TRANSFER-ENCODING,host,COOKIE,' +
      'x-request-id,traceparent,x-forwarded-for',
    'close, X-Gateway-Identity, X-Role-Ids, X-Access-Level, X-Instance-Id',
    'keep-alive, keep-alive',
    'close, close',
    ',,close,,',
    'close, Expect, Upgrade, TE, Trailer',
  ])('%s changes neither the decision nor what the upstream receives', async (value) => {
    const lines = [
      asAlice,
      `X-Mandate-Id: ${mandates.acme}`,
      'Cookie: theme=dark',
      `Connection: ${value}`,
      'Content-Length: 5',
    ]
    const before = upstream.requests.length
    const answer = await exchange(
      gateway.url,
      request('POST /crm/x', lines, 'hello') +
        request('GET /private/last', [asAlice, 'Connection: close']).repeat(/close/i.test(value) ? 0 : 1),
    )
    expect(answer.isClosed).toBe(true)
    expect(outcomes(answer)).toEqual(
      /close/i.test(value) ? ['200 POST /crm/x'] : ['200 POST /crm/x', '200 GET /private/last'],
    )
    const came = upstream.requests.slice(before).find(({ method }) => method === 'POST')
    if (!came) throw new Error('the upstream has not got it')
    expect(came.body).toBe('hello')
    expect([
      valuesOf(came, 'X-User-Id'),
      valuesOf(came, 'X-Mandate-Id'),
      valuesOf(came, 'X-Username'),
      valuesOf(came, 'X-Access-Level'),
    ]).toEqual([[users.alice], [mandates.acme], ['alice'], ['a']])
    expect([valuesOf(came, 'X-Forwarded-For'), valuesOf(came, 'Host'), valuesOf(came, 'Connection')]).toEqual(
      [['127.0.0.1'], [new URL(upstream.url).host], ['keep-alive']],
    )
    expect([
      valuesOf(came, 'X-Request-Id').length,
      valuesOf(came, 'traceparent').length,
      valuesOf(came, 'Authorization'),
    ]).toEqual([1, 1, []])
  })

  it('cannot hide the mandate: a caller who is no member is refused, also if it names the header', async () => {
    for (const value of ['close, X-Mandate-Id', 'close, X-Mandate-Id, X-User-Id, Authorization']) {
      await expectRefused(
        request('GET /crm/x', [
          `Authorization: Bearer ${tokens.bob}`,
          `X-Mandate-Id: ${mandates.globex}`,
          `Connection: ${value}`,
        ]),
        '403 not_a_member',
      )
    }
  })

  it('in several lines is one list', async () => {
    const came = await sent('GET /public/x', [
      'Connection: X-One',
      'X-One: 1',
      'Connection: close',
      'X-Two: 2',
      'connection: X-Two , X-Three',
      'X-Three: 3',
      'X-Stays: 4',
    ])
    expect(['X-One', 'X-Two', 'X-Three', 'X-Stays'].map((name) => valuesOf(came, name))).toEqual([
      [],
      [],
      [],
      ['4'],
    ])
  })

  it('cannot remove the framing of a chunked body', async () => {
    const came = await sent(
      'POST /public/x',
      ['Connection: Transfer-Encoding, close', 'Transfer-Encoding: chunked'],
      '5\r\nhello\r\n0\r\n\r\n',
    )
    expect(came.body).toBe('hello')
  })
})

describe('a method other than the one that was decided on', () => {
  const names = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']

  it.each(names)('cannot be requested: %s reaches no upstream, in any spelling', async (name) => {
    for (const spelling of [
      name,
      name.toLowerCase(),
      name.replaceAll('-', '_'),
      name.replaceAll('-', '.'),
      name.replace('-', '_'),
    ]) {
      const came = await sent('GET /private/x', [asAlice, `${spelling}: DELETE`])
      expect([came.method, came.lines.filter((line) => line.includes('DELETE'))]).toEqual(['GET', []])
    }
  })

  it.each(names)('does not change what is allowed: %s', async (name) => {
    const asBob = [
      `Authorization: Bearer ${tokens.bob}`,
      `X-Mandate-Id: ${mandates.acme}`,
      'Connection: close',
    ]
    await sent('GET /crm/x', asBob)
    for (const line of ['POST /crm/x', 'DELETE /crm/x', 'PUT /crm/x', 'PROPFIND /crm/x'])
      await expectRefused(request(line, [...asBob, `${name}: GET`]), '403 permission_denied')
    await expectRefused(
      request(
        'POST /crm/x?_method=GET',
        [...asBob, 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 11'],
        '_method=GET',
      ),
      '403 permission_denied',
    )
  })
})

describe('Host', () => {
  it.each([
    'x',
    'gateway.example',
    'gateway.example:8080',
    'GATEWAY.example:',
    '127.0.0.1:1',
    '[::1]',
    '[2001:db8::1]:443',
    'under_score.example',
    'xn--bcher-kva.example',
    'a-b.c~d',
  ])('%s is forwarded as X-Forwarded-Host, and the upstream gets its own Host', async (host) => {
    const before = upstream.requests.length
    expect(
      outcomes(
        await exchange(gateway.url, `GET /public/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      ),
    ).toEqual(['200 GET /public/x'])
    expect(
      upstream.requests
        .slice(before)
        .map((one) => [valuesOf(one, 'Host'), valuesOf(one, 'X-Forwarded-Host')]),
    ).toEqual([[[new URL(upstream.url).host], [host]]])
  })

  // RFC 9112 §3.2: a malformed Host must be answered 400. Here it would also reach the upstream as
  // X-Forwarded-Host, from which services make links.
  it.each([
    '',
    'user@x',
    'user:password@x',
    'x/path',
    'x/',
    'a, b',
    'a b',
    'a\tb',
    'x?q',
    'x#f',
    'x\\y',
    'http://x',
    'x:port',
    'x:80:80',
    '[::1',
    '::1',
    '<script>',
    '"x"',
    'x\xe4',
    'x%zz',
    'x;y^z',
  ])('%j is refused', async (host) => {
    await expectRefused(
      `GET /public/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      '400 request_malformed',
    )
  })

  it.each([
    ['GET /public/x', '1.1'],
    ['GET /private/x', '1.1'],
    ['GET /public/x', '1.0'],
    ['GET /healthz', '1.1'],
  ])('twice is refused: %s HTTP/%s', async (line, version) => {
    for (const [first, second] of [
      ['a', 'a'],
      ['a', 'b'],
      ['a', ''],
    ] as const) {
      for (const name of ['Host', 'host', 'HOST'])
        await expectRefused(
          `${line} HTTP/${version}\r\nHost: ${first}\r\n${name}: ${second}\r\nConnection: close\r\n\r\n`,
          '400 header_ambiguous',
        )
    }
  })

  it('is required of HTTP/1.1', async () => {
    await expectRefused('GET /public/x HTTP/1.1\r\nConnection: close\r\n\r\n', '400 request_malformed')
    await expectRefused(
      'GET /healthz HTTP/1.1\r\nX-Host: x\r\nConnection: close\r\n\r\n',
      '400 request_malformed',
    )
  })

  it.each([
    ['folded', `GET /public/x HTTP/1.1\r\nHost:\r\n x\r\n\r\n${poison}`],
    ['with a blank before its colon', `GET /public/x HTTP/1.1\r\nHost : x\r\n\r\n${poison}`],
    ['with NUL', `GET /public/x HTTP/1.1\r\nHost: x\0y\r\n\r\n${poison}`],
  ])('%s is refused, and its connection ends', async (_, bytes) => {
    await expectRefused(bytes, '400 request_malformed')
  })
})

describe('the number and size of headers', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `X-Line-${index}: ${index}`)

  it('200 lines come through, all of them', async () => {
    const came = await sent('GET /public/x', many(198)) // with Host and Connection: 200
    expect(came.lines.filter((line) => line.startsWith('X-Line-'))).toEqual(many(198))
  })

  it.each([201, 400, 1001, 2001, 2500, 5000])(
    '%i lines are refused: none may be hidden behind the others',
    async (count) => {
      for (const line of ['GET /public/x', 'GET /private/x', 'GET /healthz', 'GET /nowhere']) {
        await expectRefused(
          request(line, [
            'Connection: close',
            ...Array.from({ length: count - 4 }, () => 'a:'),
            `X-User-Id: ${users.root}`,
            asAlice,
          ]),
          '431 headers_too_large',
        )
      }
    },
  )

  it.each([
    ['one header', [`X-Long: ${'x'.repeat(33 * 1024)}`]],
    ['one name', [`${'x'.repeat(33 * 1024)}: 1`]],
    ['a hundred headers', Array.from({ length: 100 }, (_, index) => `X-${index}: ${'x'.repeat(340)}`)],
    ['a cookie', [`Cookie: auth_token=${'x'.repeat(33 * 1024)}`]],
  ])('33 KiB in %s are refused, and the connection ends', async (_, lines) => {
    await expectRefused(request('GET /public/x', lines) + poison, '431 headers_too_large')
    await expectRefused(
      request('POST /public/x', [...lines, 'Content-Length: 5'], 'hello') + poison,
      '431 headers_too_large',
    )
  })

  it('a header of 30 KiB comes through whole', async () => {
    const value = 'x'.repeat(30 * 1024)
    expect(valuesOf(await sent('GET /public/x', [`X-Long: ${value}`]), 'X-Long')).toEqual([value])
  })
})

describe('characters that no header may hold', () => {
  it.each([
    ['NUL in a name', 'X\0A: 1'],
    ['NUL in a value', 'X-A: a\0b'],
    ['CR in a value', 'X-A: a\rb'],
    ['CR in a value, and what looks like a header', `X-A: a\rX-User-Id: spoofed`],
    ['LF in a value, and what looks like a header', 'X-A: a\nX-User-Id: spoofed'],
    ['LF in a name', 'X\nA: 1'],
    ['CR in a name', 'X\rA: 1'],
    ['CR CR LF', 'X-A: a\r\r\nX-B: 1'],
    ['LF CR', 'X-A: a\n\rX-B: 1'],
    ['a CR before the line end', 'X-A: 1\r'],
    ['DEL in a value', 'X-A: a\x7f'],
    ['a control character in a value', 'X-A: a\x01'],
    ['a vertical tab in a value', 'X-A: a\x0bb'],
    ['8-bit in a name', 'X-\xe4: 1'],
    ['a blank in a name', 'X A: 1'],
    ['a tab before the colon', 'X-A\t: 1'],
    ['a blank before the colon', 'X-User-Id : spoofed'],
    ['no name', ': 1'],
    ['no colon', 'X-A'],
    ['parentheses in a name', 'X(A): 1'],
    ['a quote in a name', 'X"A: 1'],
    ['a slash in a name', 'X/A: 1'],
    ['brackets in a name', 'X[A]: 1'],
    ['an at sign in a name', 'X@A: 1'],
    ['a folded value', 'X-A: 1\r\n X-User-Id: spoofed'],
  ])('%s: the request is refused, and its connection ends', async (_, line) => {
    await expectRefused(request('GET /public/x', [line]) + poison, '400 request_malformed')
    await expectRefused(
      request('POST /private/x', [asAlice, 'Content-Length: 5', line], 'hello') + poison,
      '400 request_malformed',
    )
  })

  it('8-bit values come through byte by byte, and tabs within', async () => {
    const value = 'a\tb \xe4\xff\x80 \xc3\xa4'
    expect(valuesOf(await sent('GET /private/x', [asAlice, `X-Note: ${value}`]), 'X-Note')).toEqual([value])
  })

  it('every character that a name may hold comes through', async () => {
    const name = "X!#$%&'*+.^_`|~9"
    expect(valuesOf(await sent('GET /public/x', [`${name}: 1`]), name)).toEqual(['1'])
  })
})

describe('where a request comes from', () => {
  const forged = [
    'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Port: 666',
    'X-Forwarded-Prefix: /evil',
    'X-Forwarded-Server: evil.example',
    'X-Forwarded-User: evil',
    'X_Forwarded_For: 6.6.6.6',
    'X.Forwarded.Host: evil.example',
    'Forwarded: for=6.6.6.6;proto=https;host=evil.example',
    'X-Real-IP: 6.6.6.6',
    'X_Real_IP: 6.6.6.6',
    'X-Client-IP: 6.6.6.6',
    'True-Client-IP: 6.6.6.6',
  ]

  it('is what the gateway saw, whatever a client claims', async () => {
    for (const [path, lines] of [
      ['/public/x', []],
      ['/private/x', [asAlice]],
    ] as const) {
      const came = await sent(`GET ${path}`, [...lines, ...forged])
      expect([
        valuesOf(came, 'X-Forwarded-For'),
        valuesOf(came, 'X-Forwarded-Proto'),
        valuesOf(came, 'X-Forwarded-Host'),
      ]).toEqual([['127.0.0.1'], ['http'], ['x']])
      expect(came.lines.filter((line) => /6\.6\.6\.6|evil|\b666\b|https/.test(line))).toEqual([])
    }
  })

  it('is not taken from Via', async () => {
    const came = await sent('GET /private/x', [
      asAlice,
      'Via: 1.1 6.6.6.6',
      'Via: 1.0 gateway (loop)',
      'Max-Forwards: 0',
    ])
    expect([valuesOf(came, 'X-Forwarded-For'), valuesOf(came, 'X-User-Id')]).toEqual([
      ['127.0.0.1'],
      [users.alice],
    ])
  })

  describe.each([1, 2])('behind %i trusted proxies', (trustProxy) => {
    let behind: TestGateway
    beforeAll(async () => {
      behind = await startTestGateway({
        routes: routesTo(upstream.url),
        environment: { TRUST_PROXY: String(trustProxy) },
      })
    })
    afterAll(async () => {
      await behind.stop()
    })

    async function forwarded(lines: string[]) {
      const before = upstream.requests.length
      expect(
        outcomes(await exchange(behind.url, request('GET /public/x', [...lines, 'Connection: close']))),
      ).toEqual(['200 GET /public/x'])
      const [came] = upstream.requests.slice(before)
      if (!came) throw new Error('the upstream has not got it')
      return came
    }
    /** What the proxies append, outermost first. */
    const appended = ['203.0.113.9', '198.51.100.7'].slice(0, trustProxy)
    const believed = [...appended, '127.0.0.1'].join(', ')

    it('only as many entries are believed as they wrote, in one line or several', async () => {
      expect(
        valuesOf(
          await forwarded([`X-Forwarded-For: 6.6.6.6, 7.7.7.7, ${appended.join(', ')}`]),
          'X-Forwarded-For',
        ),
      ).toEqual([believed])
      expect(
        valuesOf(
          await forwarded([
            'X-Forwarded-For: 6.6.6.6',
            'x-forwarded-for: 7.7.7.7',
            ...appended.map((address) => `X-Forwarded-For: ${address}`),
          ]),
          'X-Forwarded-For',
        ),
      ).toEqual([believed])
      expect(
        valuesOf(
          await forwarded([`X-Forwarded-For: ${'6.6.6.6,'.repeat(1000)}${appended.join(',')}`]),
          'X-Forwarded-For',
        ),
      ).toEqual([believed])
    })

    it('the client’s other headers are ignored', async () => {
      const came = await forwarded([
        ...forged,
        `X-Forwarded-For: ${appended.join(', ')}`,
        'X-Forwarded-Proto: http',
        'X-Forwarded-Host: app.example',
      ])
      expect([
        valuesOf(came, 'X-Forwarded-For'),
        valuesOf(came, 'X-Forwarded-Proto'),
        valuesOf(came, 'X-Forwarded-Host'),
      ]).toEqual([[believed], ['http'], ['app.example']])
      expect(came.lines.filter((line) => /6\.6\.6\.6|evil|\b666\b/.test(line))).toEqual([])
    })

    // The entry that the proxy wrote is no address: the one before it was written by whoever calls.
    it.each(['unknown', '_hidden', 'unix:', ''])(
      'an entry of theirs that is no address makes no other entry believed: %j',
      async (entry) => {
        expect(
          valuesOf(
            await forwarded([`X-Forwarded-For: 6.6.6.6, ${[...appended.slice(0, -1), entry].join(', ')}`]),
            'X-Forwarded-For',
          ),
        ).toEqual([[...appended.slice(0, -1), '127.0.0.1'].join(', ')])
      },
    )
  })
})
