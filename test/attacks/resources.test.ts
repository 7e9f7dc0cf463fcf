import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Request, Response } from 'express'
import { GatewayError } from '../../src/errors.js'
import { entriesOf, readBody } from '../../src/http/body.js'
import { cookieValues } from '../../src/http/cookies.js'
import { sendRequest, beginRequest } from '../support/http-client.js'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { cheapestOf, quickest } from '../support/quickest.js'

const many = (text: string, bytes = 30_000) => text.repeat(Math.floor(bytes / text.length))
const numbered = (write: (index: number) => string, bytes = 30_000) => {
  const parts: string[] = []
  for (let [index, length] = [0, 0]; length < bytes; index += 1) {
    const part = write(index)
    length += part.length
    if (length < bytes) parts.push(part)
  }
  return parts.join('')
}

describe('reading a head takes time in proportion to its length, not to its square', () => {
  it.each([
    ['a cookie’s name over and over', many('auth_token')],
    ['blanks before it', many(' ', 15_000) + many('auth_token', 15_000)],
    ['semicolons', many(';')],
    ['pairs without a value', many('auth_token;')],
    ['equal signs', many('auth_token=')],
  ])('cookies: %s', (_name, header) => {
    expect(quickest(5, () => cookieValues(header, 'auth_token'))).toBeLessThan(20)
  })
  it('parameters: thousands of names', () => {
    const parameters = new URLSearchParams(numbered((index) => `${index}&`))
    expect(parameters.size).toBeGreaterThan(5000)
    expect(quickest(5, () => entriesOf(parameters))).toBeLessThan(50)
  })
  it('parameters: one name thousands of times, and none is lost', () => {
    const parameters = new URLSearchParams(many('a=1&'))
    expect(entriesOf(parameters).a).toHaveLength(parameters.size)
    expect(quickest(5, () => entriesOf(parameters))).toBeLessThan(50)
  })
})

describe('one request cannot keep the gateway busy', () => {
  let gateway: TestGateway
  let token: string
  beforeAll(async () => {
    gateway = await startTestGateway({
      environment: { TRUST_PROXY: '1' },
      routes: `
upstreams: { away: { targets: ['http://127.0.0.1:1'] } }
routes:
  /anywhere:
    { upstream: away, auth: optional, mandate: optional, instance: optional,
      mandateFrom: [header, query, path, host, subprotocol] }
`,
    })
    token = (await tokenFor(gateway.database, 'alice')).token
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const heads: [string, string, Record<string, string>][] = [
    ['cookies by our name', '/auth/me', { Cookie: many('auth_token') }],
    ['cookies by our name in pairs', '/auth/me', { Cookie: many('auth_token=x;') }],
    ['blanks in a cookie', '/auth/me', { Cookie: `auth_token${many(' ')}x` }],
    ['names of parameters', `/healthz?${numbered((index) => `${index}&`)}`, {}],
    ['separators of parameters', `/anywhere?${many('&')}`, {}],
    ['parameters that look like the mandate', `/anywhere?${many('mandateIx&')}`, {}],
    ['parameters with brackets', `/anywhere?${many('[')}`, {}],
    ['escapes in the path', `/${many('%41')}`, {}],
    ['segments of the path', many('/a'), {}],
    ['parameters of segments', many('/a;b'), {}],
    ['languages', '/auth/first-access/x', { Accept: 'text/html', 'Accept-Language': many('de;q=0.1, ') }],
    [
      'blanks between languages',
      '/auth/first-access/x',
      { Accept: 'text/html', 'Accept-Language': `de${many(' ')}x` },
    ],
    ['addresses', '/healthz', { 'X-Forwarded-For': many('1, ') }],
    ['hosts', '/anywhere', { 'X-Forwarded-Host': many('a,') }],
    ['subprotocols', '/anywhere', { 'Sec-WebSocket-Protocol': many('mandate., ') }],
    ['a trace', '/healthz', { traceparent: many('0') }],
    ['an Authorization of blanks', '/auth/me', { Authorization: `Bearer ${many(' ')}\u00e9` }],
    ['an Authorization of dots', '/auth/me', { Authorization: `Bearer ${many('.')}` }],
    ['names of headers in Connection', '/anywhere', { Connection: many('a, ') }],
    ['validators', '/auth/me', { 'If-Match': many('"a", '), 'If-None-Match': many(' ', 1000) }],
  ]
  it.each(heads)('%s', async (_name, path, headers) => {
    const answers: number[] = []
    const ms = await cheapestOf(3, async () => {
      answers.push((await sendRequest(gateway.url, path, { headers })).status)
    })
    expect(answers.filter((status) => status === 500)).toEqual([])
    expect(ms).toBeLessThan(150)
  })

  const bodies: [string, string, string][] = [
    ['a form of half a million fields', 'application/x-www-form-urlencoded', many('a&', 1_000_000)],
    ['a form of escapes', 'application/x-www-form-urlencoded', `grant_type=${many('%41', 1_000_000)}`],
    ['JSON of empty lists', 'application/json', `[${many('[],', 1_000_000)}[]]`],
    ['JSON of one long text', 'application/json', `{"grant_type":"${many('\\u0041', 1_000_000)}"}`],
    ['JSON of quotes and backslashes', 'application/json', `{"grant_type":"${many('\\\\', 1_000_000)}"}`],
  ]
  it.each(bodies)('%s', async (_name, type, body) => {
    const answers: number[] = []
    const ms = await cheapestOf(3, async () => {
      answers.push(
        (
          await sendRequest(gateway.url, '/auth/token', {
            method: 'POST',
            headers: { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) },
            body,
          })
        ).status,
      )
    })
    expect(answers).toEqual([400, 400, 400])
    expect(ms).toBeLessThan(600)
  })

  it('a refusal is short, however many wrong values a field has', async () => {
    const body = `{"username":"x","roleIds":[${many('1,', 900_000)}1]}`
    const answer = await sendRequest(gateway.url, '/mandate/members', {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${token}`,
        'X-Mandate-Id': '00000000-0000-4000-8000-000000000101',
        'Content-Type': 'application/json',
        'Content-Length': body.length,
      },
      body,
    })
    expect(answer.status).toBe(400)
    expect(answer.body.length).toBeLessThan(50_000)
  })
})

describe('a body that trickles in', () => {
  let server: Server
  let url: string
  const outcomes: unknown[] = []
  beforeAll(async () => {
    const read = readBody(['application/json'], 200)
    server = createServer((req, res) => {
      void read(req as unknown as Request, res as unknown as Response, (error?: unknown) => {
        outcomes.push(error)
        res.end()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('is cut after its time, though it never pauses for long', async () => {
    const { req, response } = beginRequest(url, '/', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Content-Length': 1000 },
    })
    req.on('error', () => undefined)
    const trickle = setInterval(() => req.write('['), 20)
    await response.finally(() => clearInterval(trickle))
    req.destroy()
    expect(outcomes).toHaveLength(1)
    expect(outcomes[0]).toBeInstanceOf(GatewayError)
    expect(outcomes[0]).toMatchObject({
      code: 'request_malformed',
      detail: 'The body took too long to arrive',
    })
  })
  it('that is whole in time is taken', async () => {
    outcomes.length = 0
    await sendRequest(url, '/', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Content-Length': 2 },
      body: '{}',
    })
    expect(outcomes).toEqual([undefined])
  })
})
