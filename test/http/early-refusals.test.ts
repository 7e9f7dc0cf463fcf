import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { exchange, sendLines, sendRaw, type RawResponse } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const app = 'https://app.example.com'
const navigation = ['Accept: text/html,application/xhtml+xml,*/*;q=0.8', 'Sec-Fetch-Mode: navigate']

/**
 * Requests that are refused early, each in another place: the status, the request line, its headers, its
 * body.
 */
const early: [status: number, line: string, lines: string[], body?: string][] = [
  [400, 'GET /a//b', []],
  [400, 'GET /public/%2f', []],
  [400, 'GET /public/x RTSP/1.1\r\nX-Rest:', []],
  [400, 'POST /public/x', ['Content-Length: 9007199254740993']],
  [400, 'POST /public/x', ['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'],
  [400, 'GET /public/x', ['X-Bad: a\x01b']],
  [400, 'GET /public/x', ['X Bad: a']],
  [400, 'GET /private/x', ['X-Mandate-Id: a', 'X-Mandate-Id: b']],
  [401, 'GET /private/x', []],
  [403, 'POST /auth/login', ['Sec-Fetch-Site: cross-site', 'Origin: https://evil.example']],
  [404, 'GET /nothing', []],
  [405, 'PUT /auth/me', []],
  [405, 'TRACE /public/x', []],
  [413, 'POST /small/x', ['Content-Length: 11'], 'hello world'],
  [417, 'GET /public/x', ['Expect: miracles']],
  [431, 'GET /public/x', Array.from({ length: 250 }, (_, index) => `X-${index}: 1`)],
  [431, 'GET /public/x', [`X-Long: ${'x'.repeat(40_000)}`]],
  [431, 'GET /public/x', Array.from({ length: 100 }, (_, index) => `X-${index}: ${'x'.repeat(500)}`)],
  [503, 'GET /away/x', []],
]

let upstream: Upstream
let gateway: TestGateway
let limited: TestGateway
beforeAll(async () => {
  upstream = await startUpstream()
  const routes = `
upstreams: { own: { targets: ['${upstream.url}'] }, away: { targets: [demo] } }
routes:
  /public: { upstream: own, auth: public }
  /private: { upstream: own }
  /small: { upstream: own, auth: public, bodyLimit: 10 }
  /away: { upstream: away, auth: public }
`
  gateway = await startTestGateway({ routes, environment: { CORS_ORIGINS: app, TRUST_PROXY: '1' } })
  limited = await startTestGateway({
    routes,
    environment: { CORS_ORIGINS: app, RATE_LIMIT_ADDRESS: '1/60s' },
  })
})
afterAll(async () => {
  await gateway.stop()
  await limited.stop()
  await upstream.stop()
})

function expectReadable(answer: RawResponse, what: unknown) {
  const {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': credentials,
    vary,
  } = answer.headers
  expect([what, origin, credentials, (vary ?? []).join().toLowerCase()]).toEqual([
    what,
    [app],
    ['true'],
    expect.stringContaining('origin'),
  ])
  expect((answer.headers['access-control-expose-headers'] ?? []).join()).toContain('X-Request-Id')
}

describe('every early refusal', () => {
  it.each(early)('can be read by a page of CORS_ORIGINS: %i %s', async (status, line, lines, body = '') => {
    const origin = lines.some((one) => one.startsWith('Origin:')) ? [] : [`Origin: ${app}`]
    const answer = await sendLines(gateway.url, line, [...origin, ...lines], body)
    expect(answer.status).toBe(status)
    if (origin.length > 0) expectReadable(answer, line)
    else expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
  })

  it('can be read by such a page when it has asked too often', async () => {
    await sendLines(limited.url, 'GET /auth/me')
    const answer = await sendLines(limited.url, 'GET /auth/me', [`Origin: ${app}`])
    expect(answer.status).toBe(429)
    expectReadable(answer, 429)
  })

  it.each(early)(
    'has no CORS header for a page of another origin: %i %s',
    async (status, line, lines, body = '') => {
      const answer = await sendLines(
        gateway.url,
        line,
        ['Origin: https://evil.example', ...lines.filter((one) => !one.startsWith('Origin:'))],
        body,
      )
      expect(answer.status).toBe(status)
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
    },
  )

  it('is not read as the answer to another request whose page may read it, on the same connection', async () => {
    const first = ['GET /public/x HTTP/1.1', 'Host: x', `Origin: ${app}`, '', ''].join('\r\n')
    const { answers } = await exchange(
      gateway.url,
      `${first}GET /public/y HTTP/1.1\r\nHost: x\r\nrubbish\r\n\r\n`,
    )
    expect(answers.map(({ status, headers }) => [status, headers['access-control-allow-origin']])).toEqual([
      [200, [app]],
      [400, undefined],
    ])
  })

  it.each(early.filter(([, line]) => !line.startsWith('TRACE')))(
    'is a page for a browser that goes there: %i %s',
    async (status, line, lines, body = '') => {
      const answer = await sendLines(gateway.url, line, [...navigation, ...lines], body)
      expect([answer.status, answer.headers['content-type']]).toEqual([status, ['text/html; charset=utf-8']])
      expect(answer.body).toContain(answer.headers['x-request-id']?.[0] ?? 'an id')
      expect(answer.headers['content-security-policy']?.[0]).toContain("default-src 'none'")
    },
  )

  it('is a problem document for a script of a page, whatever it accepts', async () => {
    for (const line of ['GET /nothing', 'GET /a//b', 'GET /private/x']) {
      const answer = await sendLines(gateway.url, line, ['Accept: text/html', 'Sec-Fetch-Mode: cors'])
      expect(answer.headers['content-type']).toEqual(['application/problem+json; charset=utf-8'])
    }
  })
})

describe('another proxy that asks for a decision', () => {
  const ask = (lines: string[], line = 'HEAD /auth/verify') =>
    sendLines(gateway.url, line, ['X-Original-Method: GET', 'X-Original-URI: /private/x', ...lines])

  it.each([
    ['a control character', ['X-Bad: a\x01b']],
    ['no colon', ['rubbish']],
    ['200 header lines', Array.from({ length: 250 }, (_, index) => `X-${index}: 1`)],
    ['too many bytes', [`X-Long: ${'x'.repeat(40_000)}`]],
    [
      'too many bytes in many lines',
      Array.from({ length: 100 }, (_, index) => `X-${index}: ${'x'.repeat(500)}`),
    ],
    ['an expectation', ['Expect: miracles']],
    ['a length that no double holds', ['Content-Length: 9007199254740993']],
    ['two mandates', ['X-Mandate-Id: a', 'X-Mandate-Id: b']],
    ['two tokens', ['Cookie: auth_token=a; auth_token=b']],
  ])('gets 403, never a status that it takes for an outage: %s', async (_, lines) => {
    for (const line of [
      'HEAD /auth/verify',
      'GET /auth/verify',
      'GET /auth/verify/private/x?a=1',
      'GET /auth/verify?x',
    ]) {
      expect([line, (await ask(lines, line)).status]).toEqual([line, 403])
    }
  })

  it('gets 403 for a malformed or missing host', async () => {
    for (const host of ['Host: a@b\r\n', 'Host: a b\r\n', '']) {
      const answer = await sendRaw(
        gateway.url,
        `HEAD /auth/verify HTTP/1.1\r\n${host}X-Original-Method: GET\r\nX-Original-URI: /public/x\r\n` +
          'Connection: close\r\n\r\n',
      )
      expect([host, answer.status, answer.body]).toEqual([host, 403, ''])
    }
  })

  it('does not change other paths: those respond 400', async () => {
    expect((await sendLines(gateway.url, 'GET /auth/verifyx', ['X-Bad: a\x01b'])).status).toBe(400)
    expect((await sendLines(gateway.url, 'GET /public/auth/verify', ['X-Bad: a\x01b'])).status).toBe(400)
  })
})
