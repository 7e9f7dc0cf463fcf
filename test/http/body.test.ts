import { deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, openSocket, parseResponse, sendRaw, type RawResponse } from '../support/raw-http.js'

const credentials = { username: 'bob', password: 'demo-password-1' }
const mebibyte = 1024 * 1024

describe('a body', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  /** Sends a body with exactly these headers. */
  function post(path: string, body: Buffer | string, ...lines: string[]): Promise<RawResponse> {
    const bytes = Buffer.from(body as string)
    const head = [
      `POST ${path} HTTP/1.1`,
      'Host: x',
      'Connection: close',
      `Content-Length: ${bytes.length}`,
      ...lines,
      '',
      '',
    ].join('\r\n')
    return sendRaw(gateway.url, Buffer.concat([Buffer.from(head, 'latin1'), bytes]))
  }
  const login = (body: Buffer | string, ...lines: string[]) =>
    post('/auth/login', body, ...(lines.length > 0 ? lines : ['Content-Type: application/json']))
  const token = (body: Buffer | string, ...lines: string[]) =>
    post(
      '/auth/token',
      body,
      ...(lines.length > 0 ? lines : ['Content-Type: application/x-www-form-urlencoded']),
    )
  const outcome = (answer: RawResponse) =>
    answer.status < 400 ? [answer.status] : [answer.status, codeOf(answer)]

  describe('of another type is 415', () => {
    const json = JSON.stringify(credentials)
    it.each([
      ['none', []],
      ['text', ['Content-Type: text/plain']],
      ['a form where JSON is taken', ['Content-Type: application/x-www-form-urlencoded']],
      ['multipart', ['Content-Type: multipart/form-data; boundary=x']],
      ['a name that merely begins like JSON', ['Content-Type: application/jsonx']],
      ['another JSON', ['Content-Type: application/merge-patch+json']],
      ['rubbish', ['Content-Type: ;;;']],
    ])('%s', async (_, lines) => {
      expect(outcome(await post('/auth/login', json, ...lines))).toEqual([415, 'unsupported_media_type'])
    })

    it.each(['utf-16', 'utf-16le', 'utf-7', 'utf-32', 'iso-8859-1', 'us-ascii', '"utf-7"', 'UTF-16', 'x'])(
      'JSON in the charset %s',
      async (charset) => {
        expect(outcome(await login(json, `Content-Type: application/json; charset=${charset}`))).toEqual([
          415,
          'unsupported_media_type',
        ])
      },
    )

    it('JSON with two charsets, whichever comes first, or one hidden in a quoted parameter', async () => {
      const statuses = await Promise.all(
        [
          ['charset=utf-7; charset=utf-8', json],
          ['charset=utf-8; charset=utf-7', json],
          ['x="; charset=utf-8 ;"; charset=utf-7', json],
          ['charset=utf-8; charset=utf-16le', Buffer.from(json, 'utf16le')],
          ['charset="utf-8"; Charset=utf-16le', Buffer.from(json, 'utf16le')],
        ].map(async ([parameters, body]) => [
          parameters,
          (await login(body!, `Content-Type: application/json; ${String(parameters)}`)).status,
        ]),
      )
      expect(statuses.filter(([, status]) => status !== 415)).toEqual([])
    })

    it.each([
      ['gzip', gzipSync(json)],
      ['deflate', deflateSync(json)],
      ['br', Buffer.from(json)],
      ['identity, gzip', gzipSync(json)],
      ['GZIP', gzipSync(json)],
    ])('coded as %s', async (coding, body) => {
      expect(
        outcome(await login(body, 'Content-Type: application/json', `Content-Encoding: ${coding}`)),
      ).toEqual([415, 'unsupported_media_type'])
    })

    it('before it is read: the rest need not arrive', async () => {
      const socket = await openSocket(gateway.url)
      socket.write(
        'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n',
      )
      const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
      socket.destroy()
      expect(parseResponse(chunk.toString()).status).toBe(415)
    })
  })

  it.each([
    'application/json',
    'Application/JSON',
    'application/json;charset=utf-8',
    'application/json; charset=UTF-8',
    'application/json; charset="utf-8"',
    'application/json ; charset=utf-8; x=y',
  ])('of the type %s is JSON in UTF-8', async (type) => {
    expect((await login(JSON.stringify(credentials), `Content-Type: ${type}`)).status).toBe(200)
  })

  describe('of more than 1 MiB is 413', () => {
    const sized = (bytes: number) => JSON.stringify({ ...credentials, username: 'x' }).padEnd(bytes, ' ')

    it('and of exactly that is read', async () => {
      expect(outcome(await login(sized(mebibyte)))).toEqual([401, 'credentials_invalid'])
      expect(outcome(await login(sized(mebibyte + 1)))).toEqual([413, 'body_too_large'])
      expect(outcome(await token(`grant_type=x&pad=${'x'.repeat(mebibyte)}`)).slice(0, 1)).toEqual([413])
    })

    it('in chunks too', async () => {
      const body = sized(mebibyte + 1)
      const answer = await sendRaw(
        gateway.url,
        'POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
          'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n' +
          `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      )
      expect(outcome(answer)).toEqual([413, 'body_too_large'])
    })

    it('before it is read, where its length is announced', async () => {
      const socket = await openSocket(gateway.url)
      socket.write(
        'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
          `Content-Length: ${10 * mebibyte}\r\n\r\n`,
      )
      const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
      socket.destroy()
      expect(parseResponse(chunk.toString()).status).toBe(413)
    })

    it('415 comes before 413', async () => {
      expect(outcome(await login(sized(mebibyte + 1), 'Content-Type: text/plain'))).toEqual([
        415,
        'unsupported_media_type',
      ])
    })
  })

  describe('that is no JSON is 400 body_invalid', () => {
    it.each([
      ['nothing', ''],
      ['a word', 'hello'],
      ['half', '{"username":"bob"'],
      ['too much', '{}{}'],
      ['single quotes', "{'username':'bob'}"],
      ['NaN', '{"username":NaN}'],
      ['a comment', '{}//'],
      ['a byte that is no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
      ['an overlong slash', Buffer.from('{"username":"\xc0\xaf","password":"x"}', 'latin1')],
      ['a surrogate in UTF-8', Buffer.from('{"username":"\xed\xa0\x80","password":"x"}', 'latin1')],
      ['UTF-16', Buffer.from('{}', 'utf16le')],
      ['a raw control character in a string', '{"username":"\n"}'],
    ])('%s', async (_, body) => {
      expect(outcome(await login(body))).toEqual([400, 'body_invalid'])
    })

    it('and says nothing of the parser or of the text', async () => {
      const { body } = await login('{"password":"very-secret-words"]')
      expect(body).not.toMatch(/very-secret|token|JSON\.parse|position|Unexpected|at .*:\d+/)
    })

    it('nested 65 levels deep; 64 are taken', async () => {
      const nested = (levels: number) =>
        `{"username":"bob","password":"demo-password-1","more":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
      expect(outcome(await login(nested(64)))).toEqual([400, 'validation_failed']) // it knows no `more`
      expect(outcome(await login(nested(65)))).toEqual([400, 'body_invalid'])
      expect(outcome(await login('['.repeat(500_000)))).toEqual([400, 'body_invalid'])
      expect(outcome(await login(`${'['.repeat(100_000)}${']'.repeat(100_000)}`))).toEqual([
        400,
        'body_invalid',
      ])
      expect(outcome(await login('{"a":'.repeat(100_000)))).toEqual([400, 'body_invalid'])
    })

    it('where only brackets in strings are many, it is not deep', async () => {
      expect(
        outcome(
          await login(
            JSON.stringify({ username: `${'['.repeat(100)}"\\"${'{'.repeat(100)}`, password: 'x' }),
          ),
        ),
      ).toEqual([401, 'credentials_invalid'])
    })

    it('64 levels hold for each endpoint that takes JSON', async () => {
      const answer = await token(
        `{"grant_type":"password","x":${'['.repeat(70)}${']'.repeat(70)}}`,
        'Content-Type: application/json',
      )
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.body)).toMatchObject({ error: 'invalid_request' })
    })
  })

  describe('that is JSON but not what is asked for is 400 validation_failed with the places', () => {
    it.each([
      ['{}', ['username', 'password']],
      ['{"username":"bob"}', ['password']],
      ['{"username":5,"password":"x"}', ['username']],
      ['{"username":["bob"],"password":"x"}', ['username']],
      ['{"username":"","password":"x"}', ['username']],
      ['{"username":null,"password":{"$ne":1}}', ['username', 'password']],
      ['{"username":"a\\u0000b","password":"x"}', ['username']],
    ])('%s', async (body, paths) => {
      const answer = await login(body)
      expect(outcome(answer)).toEqual([400, 'validation_failed'])
      const { errors } = JSON.parse(answer.body) as { errors: { path: string; message: string }[] }
      expect(errors.map(({ path }) => path).sort()).toEqual([...paths].sort())
      for (const { message } of errors) expect(message.length).toBeGreaterThan(3)
    })

    it.each(['null', '5', '"text"', '[]', 'true'])('%s', async (body) => {
      expect(outcome(await login(body))).toEqual([400, 'validation_failed'])
    })

    it('an unknown field is named', async () => {
      const answer = await login(JSON.stringify({ ...credentials, remember: true }))
      expect(outcome(answer)).toEqual([400, 'validation_failed'])
      expect(answer.body).toContain('remember')
    })

    it('values are not repeated', async () => {
      const answer = await login('{"username":{"x":"very-secret-words"},"password":["very-secret-words"]}')
      expect(answer.status).toBe(400)
      expect(answer.body).not.toContain('very-secret')
    })

    it('keys of JavaScript’s own are keys like others', async () => {
      for (const body of [
        '{"__proto__":{"username":"bob","password":"demo-password-1"}}',
        '{"constructor":{"prototype":{"username":"bob"}}}',
      ]) {
        expect(outcome(await login(body))).toEqual([400, 'validation_failed'])
      }
      expect(({} as Record<string, unknown>).username).toBeUndefined()
    })
  })

  describe('that is a form', () => {
    const good = 'grant_type=password&username=bob&password=demo-password-1'

    it('is taken where forms are', async () => {
      expect((await token(good)).status).toBe(200)
      expect(
        (await token(good, 'Content-Type: application/x-www-form-urlencoded;charset=UTF-8')).status,
      ).toBe(200)
    })

    it('may hold each parameter once: two are refused', async () => {
      for (const body of [
        `${good}&username=alice`,
        `${good}&password=x`,
        `${good}&grant_type=password`,
        `username=bob&username=bob&password=demo-password-1&grant_type=password`,
      ]) {
        const answer = await token(body)
        expect([body, answer.status, (JSON.parse(answer.body) as { error: string }).error]).toEqual([
          body,
          400,
          'invalid_request',
        ])
      }
    })

    it('has no structure: brackets make no object', async () => {
      const answer = await token(
        'grant_type=password&username[x]=bob&username[]=bob&password=demo-password-1',
      )
      expect(JSON.parse(answer.body)).toMatchObject({ error: 'invalid_request' })
    })

    it('may hold UTF-8; other bytes are refused or unknown, never an internal error', async () => {
      for (const [body, type] of [
        ['grant_type=password&username=%ff%fe&password=x', ''],
        ['grant_type=password&username=%&password=x', ''],
        ['grant_type=password&username=b%00b&password=x', ''],
        ['grant_type=password&username=\xff&password=x', ''],
        [good, '; charset=iso-8859-1'],
        [good, '; charset=utf-7'],
      ] as const) {
        const answer = await token(
          Buffer.from(body, 'latin1'),
          `Content-Type: application/x-www-form-urlencoded${type}`,
        )
        expect([body, type, answer.status]).toEqual([body, type, type ? 415 : 400])
      }
    })

    it('of a thousand parameters is refused', async () => {
      const answer = await token(
        `${good}&${Array.from({ length: 1000 }, (_, index) => `p${index}=1`).join('&')}`,
      )
      expect([400, 413]).toContain(answer.status)
    })
  })

  it('is not read by an endpoint that takes none', async () => {
    expect((await post('/auth/logout', 'anything at all', 'Content-Type: text/strange')).status).toBe(204)
  })

  it('that is missing where one is needed is 400 body_invalid', async () => {
    const answer = await sendRaw(
      gateway.url,
      'POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    )
    expect(outcome(answer)).toEqual([400, 'body_invalid'])
  })
})
