import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** What a browser would be led to, from a page of the gateway. */
const follow = async (gateway: string, path: string, headers: Record<string, string> = {}) => {
  const answer = await fetch(gateway + path, { headers })
  return { status: answer.status, at: answer.url.replace(gateway, ''), body: await answer.text() }
}

describe('an Express service behind strip', () => {
  let expressServer: Server
  let gateway: TestGateway
  beforeAll(async () => {
    const app = express().set('trust proxy', true)
    app.get('/old', (_req, res) => {
      res.redirect('/new')
    })
    // by the name that the client called
    app.get('/absolute', (req, res) => {
      res.redirect(`${req.protocol}://${req.host}/new`)
    })
    app.get('/own-name', (req, res) => {
      res.redirect(`http://localhost:${req.socket.localPort}/new?x=1#there`)
    })
    app.get('/back', (_req, res) => {
      res.redirect('../new')
    })
    app.get('/sign-in', (_req, res) => {
      res.cookie('sid', '1', { path: '/' }).redirect('/new')
    })
    app.get('/new', (req, res) => {
      res.json({ prefix: req.get('X-Forwarded-Prefix'), host: req.get('Host') })
    })
    expressServer = app.listen(0, '127.0.0.1')
    await once(expressServer, 'listening')
    gateway = await startTestGateway({
      environment: { TRUST_PROXY: '1' },
      routes: `
upstreams:
  ex: { targets: ['http://127.0.0.1:${(expressServer.address() as AddressInfo).port}'] }
routes:
  /ex: { upstream: ex, auth: public, strip: true }
  /apps/ex: { upstream: ex, auth: public, strip: true, preserveHost: true }
`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    expressServer.closeAllConnections()
    expressServer.close()
  })

  it.each(['/ex', '/apps/ex'])(
    'redirects to where its pages are for the client, whatever it calls itself (%s)',
    async (prefix) => {
      for (const page of ['/old', '/absolute', '/own-name', '/back', '/sign-in']) {
        expect([page, await follow(gateway.url, prefix + page)]).toEqual([
          page,
          {
            status: 200,
            at: expect.stringMatching(`^${prefix}/new(?:[?]x=1)?$`),
            body: expect.stringContaining(`"prefix":"${prefix}"`),
          },
        ])
      }
    },
  )

  it('receives the client’s Host only with preserveHost', async () => {
    const host = async (path: string) =>
      (JSON.parse((await follow(gateway.url, path)).body) as { host: string }).host
    expect(await host('/ex/new')).toBe(`127.0.0.1:${(expressServer.address() as AddressInfo).port}`)
    expect(await host('/apps/ex/new')).toBe(new URL(gateway.url).host)
  })

  it('receives no prefix that a client claims', async () => {
    for (const line of ['X-Forwarded-Prefix: /evil', 'X_Forwarded_Prefix: /evil', 'X-Script-Name: /evil']) {
      expect((await sendLines(gateway.url, 'GET /ex/new', [line])).body).toContain('"prefix":"/ex"')
    }
  })
})

describe('a header of an answer', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let port: string
  beforeAll(async () => {
    upstream = await startUpstream()
    port = new URL(upstream.url).port
    gateway = await startTestGateway({
      routes: `
upstreams:
  own: { targets: ['${upstream.url}', 'http://127.0.0.1:${port}'] }
  named: { targets: ['http://localhost:${port}'] }
routes:
  /: { upstream: own, auth: public }
  /own/app: { upstream: own, auth: public, strip: true }
  /v1: { upstream: own, auth: public, rewrite: /internal/v7 }
  /named: { upstream: named, auth: public, strip: true }
`,
    })
  })
  afterEach(() => upstream.answerWith(undefined))
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  async function answered(
    path: string,
    name: string,
    value: string | string[],
  ): Promise<string[] | undefined> {
    upstream.answerWith((_req, res) => res.writeHead(302, { [name]: value }).end())
    return (await sendLines(gateway.url, `GET ${path}`)).headers[name.toLowerCase()]
  }
  const target = (path: string) => `http://127.0.0.1:${port}${path}`

  it('with an address is mapped to the client’s path, if the route strips or rewrites', async () => {
    const here = new URL(gateway.url).host
    for (const [path, said, heard] of [
      ['/own/app/a', '/b', '/own/app/b'],
      ['/own/app/a', '/', '/own/app/'],
      ['/own/app', 'b', '/own/app/b'],
      ['/own/app/x/y', 'z?q=1', '/own/app/x/z?q=1'],
      ['/own/app/x/y', '../../../z', '/own/app/z'],
      ['/own/app/a', '/../b', '/own/app/b'],
      ['/own/app/a', '?page=2', '?page=2'],
      ['/own/app/a', '#top', '#top'],
      ['/own/app/a', '/own/app/b', '/own/app/b'],
      ['/own/app/a', '/own/apple', '/own/app/own/apple'],
      ['/own/app/a', target('/b?x=/y#z'), '/own/app/b?x=/y#z'],
      ['/own/app/a', target('/own/app/b'), '/own/app/b'],
      ['/own/app/a', target(''), '/own/app/'],
      ['/own/app/a', `//127.0.0.1:${port}/b`, '/own/app/b'],
      ['/own/app/a', `http://localhost:${port}/b`, '/own/app/b'],
      ['/own/app/a', `http://${here}/b`, `http://${here}/own/app/b`],
      ['/own/app/a', `https://${here}/own/app/b`, `https://${here}/own/app/b`],
      ['/own/app/a', 'https://other.example/b', 'https://other.example/b'],
      ['/own/app/a', '//other.example/b', '//other.example/b'],
      ['/own/app/a', 'myapp://x/y', 'myapp://x/y'],
      ['/own/app/a', '/%C3%A4?b=%2F', '/own/app/%C3%A4?b=%2F'],
      ['/own/app/a', `http:\\\\127.0.0.1:${port}\\b`, '/own/app/b'],
      ['/own/app/a', `HTTP://user@127.0.0.1:${port}/b`, '/own/app/b'],
      ['/v1/a', '/internal/v7/b', '/v1/b'],
      ['/v1/a', '/internal/v7', '/v1'],
      ['/v1/a', '/login', '/login'],
      ['/v1/a', target('/internal/v7/b'), '/v1/b'],
      ['/v1/a', target('/login'), '/login'],
      ['/v1/a', 'b', '/v1/b'],
      ['/named/a', `http://localhost:${port}/b`, '/named/b'],
      ['/x/a', '/b', '/b'],
      ['/x/a', 'b', 'b'],
      ['/x/a', '../b', '../b'],
      ['/x/a', target('/b?c'), '/b?c'],
      ['/x/a', `//127.0.0.1:${port}/b`, '/b'],
      ['/x/a', 'https://other.example/', 'https://other.example/'],
    ] as const) {
      for (const name of ['Location', 'Content-Location'])
        expect([path, said, await answered(path, name, said)]).toEqual([path, said, [heard]])
      expect([
        path,
        said,
        await answered(path, 'Link', `<${said}>; rel="next", <https://other.example/>; rel=help`),
      ]).toEqual([path, said, [`<${heard}>; rel="next", <https://other.example/>; rel=help`]])
    }
  })

  it('with a refresh leads to a path that the client can reach', async () => {
    for (const [said, heard] of [
      ['0; url=/b', '0; url=/own/app/b'],
      [`5;URL='${target('/b')}'`, `5;URL='/own/app/b'`],
      ['1, /b', '1, /own/app/b'],
      ['3; url="/b"; x', '3; url="/own/app/b"'],
      ['30', '30'],
      ['0; url=https://other.example/', '0; url=https://other.example/'],
    ])
      expect([said, await answered('/own/app/a', 'Refresh', said ?? '')]).toEqual([said, [heard]])
  })

  it('with a cookie returns to its own service only, and names no host for which browsers drop it', async () => {
    for (const [path, said, heard] of [
      ['/own/app/a', 'a=1; Path=/', 'a=1; Path=/own/app/'],
      ['/own/app/a', 'a=1; path=/b; HttpOnly', 'a=1; Path=/own/app/b; HttpOnly'],
      ['/own/app/a', 'a=1', 'a=1'],
      ['/own/app/a', 'a=1; Path=/own/app', 'a=1; Path=/own/app'],
      ['/own/app/a', '__Host-a=1; Path=/; Secure', '__Host-a=1; Path=/; Secure'],
      ['/v1/a', 'a=1; Path=/internal/v7', 'a=1; Path=/v1'],
      ['/v1/a', 'a=1; Path=/', 'a=1; Path=/'],
      ['/x/a', 'a=1; Path=/b', 'a=1; Path=/b'],
      ['/named/a', 'a=1; Domain=localhost; Secure', 'a=1; Secure'],
      ['/named/a', 'a=1; Domain=.example.com', 'a=1; Domain=.example.com'],
      [
        '/x/a',
        'a=/b; Expires=Thu, 01 Jan 2037 00:00:00 GMT; Path=/',
        'a=/b; Expires=Thu, 01 Jan 2037 00:00:00 GMT; Path=/',
      ],
    ])
      expect([path, said, await answered(path ?? '', 'Set-Cookie', [said ?? '', 'second=2'])]).toEqual([
        path,
        said,
        [heard, 'second=2'],
      ])
  })
})
