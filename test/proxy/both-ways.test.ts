import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { instances, mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, openSocket, sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('between clients and upstreams', () => {
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
  /optional: { upstream: own, auth: optional, mandate: optional, instance: optional }
`,
    })
    token = (await tokenFor(gateway.database, 'alice')).token
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it.each(['/private', '/optional'])(
    'a private answer is opened to no origin and stored by no cache, whatever the upstream says (%s)',
    async (path) => {
      upstream.answerWith((_req, res) =>
        res
          .writeHead(200, {
            'Access-Control-Allow-Origin': 'https://evil.example',
            'Access-Control-Allow-Credentials': 'true',
            'access-control-expose-headers': 'X-Own',
            'Cache-Control': 'public, max-age=3600',
            'X-Own': '1',
          })
          .end('mine'),
      )
      const answer = await sendLines(gateway.url, `GET ${path}`, [
        `Authorization: Bearer ${token}`,
        'Origin: https://evil.example',
      ])
      expect(answer).toMatchObject({ status: 200, body: 'mine' })
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
      expect(answer.headers).toMatchObject({ 'cache-control': ['no-store'], 'x-own': ['1'] })
    },
  )

  it('a public answer may be opened to others by its upstream', async () => {
    upstream.answerWith((_req, res) => res.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end())
    expect((await sendLines(gateway.url, 'GET /public')).headers['access-control-allow-origin']).toEqual([
      '*',
    ])
  })

  it('no client header for another method, path, host or address reaches upstream, in any spelling', async () => {
    const names = [
      'X-HTTP-Method-Override',
      'X-HTTP-Method',
      'X-Method-Override',
      'X_HTTP_Method_Override',
      'X-Original-URL',
      'X-Rewrite-URL',
      'X_Rewrite_Url',
      'X-Original-URI',
      'X-Real-IP',
      'X_Real_IP',
      'X-Client-IP',
      'True-Client-IP',
      'X-Forwarded-Port',
      'X-Forwarded-Prefix',
      'X-Forwarded-Server',
      'X_Forwarded_Prefix',
    ]
    for (const path of ['/public', '/private']) {
      await sendLines(gateway.url, `GET ${path}`, [
        `Authorization: Bearer ${token}`,
        ...names.map((name) => `${name}: smuggled`),
        'X-Own: kept',
      ])
      expect(upstream.last().url).toBe(path)
      expect(upstream.last().headers['x-own']).toBe('kept')
      expect(JSON.stringify(upstream.last().rawHeaders)).not.toContain('smuggled')
    }
  })

  it.each([
    ['X-Mandate-Id', 'mandate_id_invalid', mandates.acme],
    ['X-Instance-Id', 'instance_id_invalid', instances.acmeCrm],
  ])(
    'a malformed %s is refused for an anonymous caller too, where the route looks at it',
    async (header, code, good) => {
      const before = upstream.received.length
      for (const bad of ['nope', `${good}x`, `{${good}}`, good.slice(1)]) {
        const answer = await sendLines(gateway.url, 'GET /optional', [`${header}: ${bad}`])
        expect([bad, answer.status, codeOf(answer)]).toEqual([bad, 400, code])
      }
      expect(upstream.received).toHaveLength(before)
      expect((await sendLines(gateway.url, 'GET /optional', [`${header}: ${good}`])).status).toBe(200)
      expect(upstream.last().headers).not.toHaveProperty(header.toLowerCase()) // nobody has entered it
      expect((await sendLines(gateway.url, 'GET /public', [`${header}: nope`])).status).toBe(200)
    },
  )

  it.each(['/public', '/auth/login'])(
    'a client of HTTP/1.0 is never told 100 Continue, which it would take for the answer (%s)',
    async (path) => {
      const body = '{"username":"bob","password":"demo-password-1"}'
      const answer = await sendRaw(
        gateway.url,
        [
          `POST ${path} HTTP/1.0`,
          'Host: x',
          'Expect: 100-continue',
          'Content-Type: application/json',
          `Content-Length: ${body.length}`,
          '',
          body,
        ].join('\r\n'),
      )
      expect(answer.text).toMatch(/^HTTP\/1\.1 200 /)
      expect(answer.text).not.toContain(' 100 ')
    },
  )

  it('rubbish after a request whose answer has begun cuts that answer, and writes nothing into it', async () => {
    upstream.answerWith((_req, res) => res.write('half'))
    const socket = await openSocket(gateway.url)
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.write('GET /public HTTP/1.1\r\nHost: x\r\n\r\n')
    while (!text.includes('half')) await once(socket, 'data')
    socket.write('rubbish\r\n\r\n')
    await once(socket, 'close')
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
    expect(text).not.toContain('request_malformed')
    expect(text).not.toMatch(/\r\n0\r\n\r\n$/)
  })
})
