import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { RouteTableError, parseRouteTable } from '../../src/proxy/route-table.js'
import { sentPath } from '../../src/proxy/sent-path.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const withRoute = (route: string) =>
  parseRouteTable(
    `upstreams: { own: { targets: ['http://127.0.0.1:9000'] } }\nroutes:\n  /x: ${route}\n`,
    'routes.yaml',
  )

describe('the path that is sent', () => {
  it.each([
    [{ prefix: '/a', strip: false }, '/a/b', '?x=1', '/a/b?x=1'],
    [{ prefix: '/', strip: false }, '/', '', '/'],
    [{ prefix: '/a', strip: true }, '/a/b', '?x=1', '/b?x=1'],
    [{ prefix: '/a', strip: true }, '/a', '?x=1', '/?x=1'],
    [{ prefix: '/a', strip: true }, '/a/', '', '/'],
    [{ prefix: '/', strip: true }, '/a', '', '/a'],
    [{ prefix: '/', strip: true }, '/', '', '/'],
    [{ prefix: '/a', strip: false, rewrite: '/v2/b' }, '/a', '', '/v2/b'],
    [{ prefix: '/a', strip: false, rewrite: '/v2/b' }, '/a/', '', '/v2/b/'],
    [{ prefix: '/a', strip: false, rewrite: '/v2/b' }, '/a/c', '?x=/a', '/v2/b/c?x=/a'],
    [{ prefix: '/a', strip: false, rewrite: '/v2' }, '/a/a/a', '', '/v2/a/a'],
    [{ prefix: '/a', strip: false, rewrite: '/$&' }, '/a/c', '', '/$&/c'], // not as a pattern
    [{ prefix: '/a', strip: false, rewrite: '/' }, '/a', '?x', '/?x'],
    [{ prefix: '/a', strip: false, rewrite: '/' }, '/a/c', '', '/c'],
    [{ prefix: '/', strip: false, rewrite: '/v2' }, '/c', '', '/v2/c'],
    [{ prefix: '/', strip: false, rewrite: '/v2' }, '/', '', '/v2/'],
    [{ prefix: '/', strip: false, rewrite: '/' }, '/c', '', '/c'],
  ])('by %j of %s%s is %s', (route, pathname, search, sent) => {
    expect(sentPath({ rewrite: undefined, ...route }, pathname, search)).toBe(sent)
  })

  describe('over a gateway', () => {
    let upstream: Upstream
    let gateway: TestGateway
    beforeAll(async () => {
      upstream = await startUpstream()
      gateway = await startTestGateway({
        routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /old: { upstream: own, auth: public, rewrite: /new/api }
  /old/guarded: { upstream: own, rewrite: /new/api/guarded }
`,
      })
    })
    afterAll(async () => {
      await gateway.stop()
      await upstream.stop()
    })

    it('has the prefix replaced and nothing else, the query included', async () => {
      for (const [asked, sent] of [
        ['/old', '/new/api'],
        ['/old/', '/new/api/'],
        ['/old/a/old?x=/old', '/new/api/a/old?x=/old'],
        ['/%6fld/%C3%A9', '/new/api/%C3%A9'],
      ]) {
        expect((await sendLines(gateway.url, `GET ${asked!}`)).status).toBe(200)
        expect([asked, upstream.last().url]).toEqual([asked, sent])
      }
    })

    it('cannot be led out of the new prefix, nor past the policy of a longer one', async () => {
      const before = upstream.received.length
      for (const asked of [
        '/old/../x',
        '/old/%2e%2e/x',
        '/old/..;/x',
        '/old//x',
        '/old/%2fx',
        '/old;x',
        '/old/x\\..',
        '/old/guarded;x',
      ]) {
        const answer = await sendLines(gateway.url, `GET ${asked}`)
        expect([asked, [400, 404].includes(answer.status)]).toEqual([asked, true])
      }
      const guarded = await sendLines(gateway.url, 'GET /old/guarded/x')
      expect([guarded.status, codeOf(guarded)]).toEqual([401, 'authentication_required'])
      expect(upstream.received.length).toBe(before)
    })
  })
})

describe('the field rewrite', () => {
  const faultsOf = (route: string) => {
    try {
      withRoute(route)
    } catch (error) {
      if (error instanceof RouteTableError) return error.faults
      throw error
    }
    return []
  }

  it('is kept as written, and absent by default', () => {
    expect(withRoute('{ upstream: own, rewrite: /v2/y }').match('/x')).toMatchObject({
      rewrite: '/v2/y',
      strip: false,
    })
    expect(withRoute('{ upstream: own, strip: false, rewrite: / }').match('/x')).toMatchObject({
      rewrite: '/',
    })
    expect(withRoute('{ upstream: own }').match('/x')?.rewrite).toBeUndefined()
  })

  it('may be a prefix that belongs to the gateway, as it is a path of the upstream', () => {
    expect(faultsOf('{ upstream: own, rewrite: /auth }')).toEqual([])
  })

  it('contradicts strip', () => {
    expect(faultsOf('{ upstream: own, strip: true, rewrite: /y }')).toEqual([
      expect.stringMatching(/^routes\.yaml:3: .*rewrite: cannot be set together with strip$/),
    ])
    expect(faultsOf('{ upstream: own, auth: public, strip: true, rewrite: /y }')).toHaveLength(1)
  })

  it.each([
    'y',
    '/y/',
    '/y//z',
    '/y/../z',
    '/.',
    '/y?z',
    '/y%20z',
    '"/y#z"',
    '"http://127.0.0.1/y"',
    '""',
    '5',
    'true',
  ])('refuses %s, with file and line', (rewrite) => {
    const faults = faultsOf(`{ upstream: own, rewrite: ${rewrite} }`)
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/^routes\.yaml:3: .*rewrite/)
  })
})
