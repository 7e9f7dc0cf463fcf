import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendLines, type RawResponse } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const app = 'https://app.example.com'
const second = 'http://localhost:5173'

const corsHeaders = (answer: RawResponse) =>
  Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))
const listed = (answer: RawResponse, name: string) =>
  (answer.headers[name] ?? [])
    .join(',')
    .toLowerCase()
    .split(',')
    .map((one) => one.trim())

describe('pages of CORS_ORIGINS', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let token: string
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { CORS_ORIGINS: `${app}, ${second}/` },
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /required: { upstream: own }
  /public: { upstream: own, auth: public }
`,
    })
    token = (await tokenFor(gateway.database, 'alice')).token
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it.each([app, second])('%s may call with credentials and read what callers need', async (origin) => {
    for (const path of ['/auth/me', '/required']) {
      const answer = await sendLines(gateway.url, `GET ${path}`, [
        `Origin: ${origin}`,
        `Cookie: auth_token=${token}`,
      ])
      expect(answer.status).toBe(200)
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': [origin],
        'access-control-allow-credentials': ['true'],
      })
      expect(listed(answer, 'vary')).toContain('origin')
      expect(listed(answer, 'access-control-expose-headers')).toEqual(
        expect.arrayContaining(['x-request-id', 'retry-after']),
      )
    }
  })

  it('may read refusals too', async () => {
    for (const line of ['GET /auth/me', 'GET /required', 'GET /nothing', 'PUT /auth/me']) {
      const answer = await sendLines(gateway.url, line, [`Origin: ${app}`])
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(answer.headers['access-control-allow-origin']).toEqual([app])
    }
  })

  it('get their preflight answered without a token and without the upstream', async () => {
    const before = upstream.received.length
    for (const path of ['/required/x', '/auth/me', '/auth/login']) {
      for (const method of ['PUT', 'DELETE', 'POST', 'PATCH']) {
        const answer = await sendLines(gateway.url, `OPTIONS ${path}`, [
          `Origin: ${app}`,
          `Access-Control-Request-Method: ${method}`,
          'Access-Control-Request-Headers: x-mandate-id,content-type',
        ])
        expect(answer.status).toBe(204)
        expect(answer.headers).toMatchObject({
          'access-control-allow-origin': [app],
          'access-control-allow-credentials': ['true'],
        })
        expect(listed(answer, 'access-control-allow-methods')).toContain(method.toLowerCase())
        expect(listed(answer, 'access-control-allow-headers')).toEqual(
          expect.arrayContaining(['x-mandate-id', 'content-type']),
        )
      }
    }
    expect(upstream.received).toHaveLength(before)
  })

  it.each([
    'https://evil.example',
    'null',
    '*',
    `${app}.evil.example`,
    'http://app.example.com',
    `${app}:8443`,
    `${app}, https://evil.example`,
  ])('no page of %s gets a CORS header, asking first or not', async (origin) => {
    const answer = await sendLines(gateway.url, 'GET /required', [
      `Origin: ${origin}`,
      `Cookie: auth_token=${token}`,
    ])
    expect(corsHeaders(answer)).toEqual([])
    expect(listed(answer, 'vary')).toContain('origin') // or a cache would give it to an allowed page
    const preflight = await sendLines(gateway.url, 'OPTIONS /required', [
      `Origin: ${origin}`,
      'Access-Control-Request-Method: PUT',
    ])
    expect(corsHeaders(preflight)).toEqual([])
    expect(preflight.status).not.toBe(200)
  })

  it('the gateway’s word stands against the upstream’s', async () => {
    upstream.answerWith((_req, res) =>
      res
        .writeHead(200, {
          'Access-Control-Allow-Origin': '*',
          'Access-Control-Allow-Credentials': 'false',
          Vary: 'Accept',
        })
        .end(),
    )
    const answer = await sendLines(gateway.url, 'GET /public', [`Origin: ${app}`])
    upstream.answerWith(undefined)
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': [app],
      'access-control-allow-credentials': ['true'],
    })
    expect(listed(answer, 'vary')).toEqual(expect.arrayContaining(['accept', 'origin']))
  })

  it('an OPTIONS without Access-Control-Request-Method is no preflight', async () => {
    expect((await sendLines(gateway.url, 'OPTIONS /required', [`Origin: ${app}`])).status).toBe(401)
    const own = await sendLines(gateway.url, 'OPTIONS /auth/login', [`Origin: ${app}`])
    expect([own.status, listed(own, 'allow')]).toEqual([204, ['post', 'options']])
  })
})

describe('without CORS_ORIGINS', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  it('no response has a CORS header', async () => {
    for (const origin of [app, gateway.url, 'null', '*', '']) {
      expect(corsHeaders(await sendLines(gateway.url, 'GET /healthz', [`Origin: ${origin}`]))).toEqual([])
      expect(
        corsHeaders(
          await sendLines(gateway.url, 'OPTIONS /auth/login', [
            `Origin: ${origin}`,
            'Access-Control-Request-Method: POST',
          ]),
        ),
      ).toEqual([])
    }
  })
})
