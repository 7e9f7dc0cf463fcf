import type { RequestListener } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendLines, type RawResponse } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('an upstream’s answer', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let token: string
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /public: { upstream: own, auth: public }
  /private: { upstream: own }
  /optional: { upstream: own, auth: optional }
  /limited: { upstream: own, auth: public, rateLimit: 1000/60s }
`,
    })
    token = (await tokenFor(gateway.database, 'alice')).token
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  function ask(line: string, handler: RequestListener, lines: string[] = []): Promise<RawResponse> {
    upstream.answerWith(handler)
    return sendLines(gateway.url, line, [`Authorization: Bearer ${token}`, ...lines])
  }

  it('comes back with its status, headers and body', async () => {
    const answer = await ask('GET /public', (_req, res) =>
      res
        .writeHead(418, {
          'X-Own': ['1', '2'],
          'Content-Type': 'text/plain',
          ETag: '"e"',
          Location: '/elsewhere',
        })
        .end('short and stout'),
    )
    expect(answer).toMatchObject({ status: 418, body: 'short and stout' })
    expect(answer.headers).toMatchObject({
      'x-own': ['1', '2'],
      'content-type': ['text/plain'],
      etag: ['"e"'],
      location: ['/elsewhere'],
    })
    const alike = await ask('GET /public', (_req, res) =>
      res.writeHead(200, { 'X-Own': ['auth_token=1', '2'] }).end(),
    )
    expect(alike.headers['x-own']).toEqual(['auth_token=1', '2']) // only a cookie is a cookie
  })

  it('keeps its cookies, except those with the gateway’s names', async () => {
    const answer = await ask('GET /public', (_req, res) =>
      res
        .writeHead(200, {
          'Set-Cookie': [
            'theme=dark; Path=/',
            'auth_token=stolen; Path=/',
            'lang=de',
            'refresh_token=x',
            ' portal_session =x',
            'auth_token =x',
            'my_auth_token=kept',
          ],
        })
        .end(),
    )
    expect(answer.headers['set-cookie']).toEqual(['theme=dark; Path=/', 'lang=de', 'my_auth_token=kept'])
    const single = await ask('GET /public', (_req, res) =>
      res.writeHead(200, { 'Set-Cookie': 'auth_token=stolen' }).end(),
    )
    expect(single.headers).not.toHaveProperty('set-cookie')
  })

  it('cannot set the gateway’s cookies by a nameless one, which browsers send as its value', async () => {
    const answer = await ask('GET /public', (_req, res) =>
      res.writeHead(200, { 'Set-Cookie': '=auth_token=stolen; Path=/' }).end(),
    )
    expect(answer.text).not.toContain('stolen')
  })

  it('loses its headers of one hop, and those that its Connection names', async () => {
    const answer = await ask('GET /public', (_req, res) => {
      res
        .writeHead(200, {
          Connection: 'close, X-Hop',
          'X-Hop': '1',
          'Proxy-Authenticate': 'Basic',
          'Keep-Alive': 'timeout=9',
          'X-Stays': '2',
        })
        .end('x')
    })
    for (const name of ['x-hop', 'proxy-authenticate']) expect(answer.headers).not.toHaveProperty(name)
    expect(answer.headers['keep-alive'] ?? []).not.toContain('timeout=9')
    expect(answer.headers['x-stays']).toEqual(['2'])
  })

  it('carries the gateway’s request id and nosniff, not its own', async () => {
    const answer = await ask(
      'GET /public',
      (_req, res) =>
        res.writeHead(200, { 'X-Request-Id': 'the-upstreams', 'X-Content-Type-Options': 'anything' }).end(),
      ['X-Request-Id: the-clients'],
    )
    expect(answer.headers['x-request-id']).toEqual(['the-clients'])
    expect(answer.headers['x-content-type-options']).toEqual(['nosniff'])
  })

  it('does not overwrite the gateway’s RateLimit headers', async () => {
    const answer = await ask('GET /limited', (_req, res) =>
      res.writeHead(200, { RateLimit: '"mine";r=1;t=1', 'RateLimit-Policy': '"mine";q=1;w=1' }).end(),
    )
    expect(answer.headers.ratelimit?.join()).not.toContain('mine')
    expect(answer.headers['ratelimit-policy']?.join()).toContain('q=1000')
  })

  it.each(['/private', '/optional'])(
    'is stored by no cache where it is private and the upstream said nothing (%s)',
    async (path) => {
      const answer = await ask(`GET ${path}`, (_req, res) => res.end('mine'))
      expect(answer.headers['cache-control']).toEqual(['no-store'])
    },
  )

  it.each(['private, max-age=60', 'public, max-age=60'])(
    'is stored by no cache where it is private, whatever the upstream said (%s)',
    async (said) => {
      const answer = await ask('GET /private', (_req, res) =>
        res.writeHead(200, { 'Cache-Control': said, Vary: 'Accept' }).end('mine'),
      )
      expect(answer.headers).toMatchObject({ 'cache-control': ['no-store'], vary: ['Accept'] })
    },
  )

  it('is cached as the upstream says where it is public', async () => {
    const silent = await ask('GET /public', (_req, res) => res.end('all'))
    expect(silent.headers).not.toHaveProperty('cache-control')
    const answer = await ask('GET /public', (_req, res) =>
      res.writeHead(200, { 'Cache-Control': 'public, max-age=60', Vary: 'Accept' }).end('all'),
    )
    expect(answer.headers).toMatchObject({ 'cache-control': ['public, max-age=60'], vary: ['Accept'] })
  })

  it('says which pages may read it if it is public and CORS names no origin, never if it is private', async () => {
    const open = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'X-Own' }
    const shown = await ask('GET /public', (_req, res) => res.writeHead(200, open).end('all'), [
      'Origin: https://app.example.com',
    ])
    expect(shown.headers).toMatchObject({
      'access-control-allow-origin': ['*'],
      'access-control-expose-headers': ['X-Own'],
    })
    for (const path of ['/private', '/optional']) {
      const answer = await ask(
        `GET ${path}`,
        (_req, res) =>
          res.writeHead(200, { ...open, 'Access-Control-Allow-Credentials': 'true' }).end('mine'),
        ['Origin: https://app.example.com'],
      )
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
    }
  })

  it('to HEAD has the headers and no body', async () => {
    const answer = await ask('HEAD /public', (_req, res) =>
      res.writeHead(200, { 'Content-Length': '1234', 'X-Own': '1' }).end(),
    )
    expect(answer).toMatchObject({ status: 200, body: '' })
    expect(answer.headers).toMatchObject({ 'content-length': ['1234'], 'x-own': ['1'] })
  })

  it.each([204, 304])('%i has no body', async (status) => {
    const answer = await ask('GET /public', (_req, res) => res.writeHead(status, { ETag: '"e"' }).end())
    expect(answer).toMatchObject({ status, body: '' })
    expect(answer.headers.etag).toEqual(['"e"'])
    expect(answer.headers).not.toHaveProperty('transfer-encoding')
  })

  it('without a body has length 0', async () => {
    const answer = await ask('GET /public', (_req, res) =>
      res.writeHead(200, { 'Content-Length': '0' }).end(),
    )
    expect(answer).toMatchObject({ status: 200, body: '' })
  })

  it('may be announced by an interim one, which is not the answer', async () => {
    const answer = await ask('GET /public', (_req, res) => {
      res.writeEarlyHints({ link: '</style.css>; rel=preload' })
      res.end('final')
    })
    expect(answer).toMatchObject({ status: 200, body: 'final' })
  })

  it('is not decompressed on its way', async () => {
    const answer = await ask(
      'GET /public',
      (_req, res) => res.writeHead(200, { 'Content-Encoding': 'gzip' }).end('opaque'),
      ['Accept-Encoding: gzip'],
    )
    expect(answer.headers['content-encoding']).toEqual(['gzip'])
    expect(answer.body).toBe('opaque')
  })

  it('401 of an upstream is the upstream’s, challenge included', async () => {
    const answer = await ask('GET /private', (_req, res) =>
      res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="theirs"' }).end('no'),
    )
    expect(answer).toMatchObject({ status: 401, body: 'no' })
    expect(answer.headers['www-authenticate']).toEqual(['Basic realm="theirs"'])
  })
})
