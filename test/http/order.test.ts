import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/**
 * A request with everything wrong at once, to be mended step by step: what is refused first tells the order.
 */
interface Faults {
  path: string
  twice?: boolean
  site?: string
  token?: string
  mandate?: string
  type?: string
}

describe('the order of a request', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let tokens: Record<'alice' | 'bob' | 'petra', string>
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams:
  own: { targets: ['${upstream.url}'] }
  away: { targets: [demo] }
routes:
  /guarded: { upstream: away, mandate: required, guard: sysAdmin, bodyLimit: 3 }
  /permitted: { upstream: away, mandate: required, permission: { context: RESOURCE, item: crm }, bodyLimit: 3 }
`,
    })
    const tokenOf = async (user: 'alice' | 'bob' | 'petra') => (await tokenFor(gateway.database, user)).token
    tokens = { alice: await tokenOf('alice'), bob: await tokenOf('bob'), petra: await tokenOf('petra') }
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  async function code(
    method: string,
    {
      path,
      twice = false,
      site = 'cross-site',
      token = 'rubbish',
      mandate = 'rubbish',
      type = 'text/plain',
    }: Faults,
  ) {
    const body = 'no json'
    const answer = await sendLines(
      gateway.url,
      `${method} ${path}`,
      [
        `Cookie: auth_token=${token}`,
        `Sec-Fetch-Site: ${site}`,
        `X-Mandate-Id: ${mandate}`,
        ...(twice ? [`X-Mandate-Id: ${mandate}`] : []),
        `Content-Type: ${type}`,
        `Content-Length: ${body.length}`,
      ],
      body,
    )
    return codeOf(answer)
  }

  it('path 400, 404, 405, ambiguous headers, cross-site, 401, context, guard, permission, body, upstream', async () => {
    expect(await code('POST', { path: '/a//b', twice: true })).toBe('path_ambiguous')
    expect(await code('POST', { path: '/nothing', twice: true })).toBe('not_found')
    expect(await code('POST', { path: '/auth/me', twice: true })).toBe('method_not_allowed')
    for (const path of ['/guarded', '/permitted', '/auth/logout']) {
      expect(await code('POST', { path, twice: true })).toBe('header_ambiguous')
      expect(await code('POST', { path })).toBe('cross_site_request')
    }
    const site = 'same-origin'
    for (const path of ['/guarded', '/permitted']) {
      expect(await code('POST', { path, site })).toBe('token_invalid')
      expect(await code('POST', { path, site, token: tokens.bob })).toBe('mandate_id_invalid')
      expect(await code('POST', { path, site, token: tokens.bob, mandate: mandates.globex })).toBe(
        'not_a_member',
      )
    }
    expect(await code('POST', { path: '/guarded', site, token: tokens.bob, mandate: mandates.acme })).toBe(
      'sysadmin_required',
    )
    expect(await code('POST', { path: '/permitted', site, token: tokens.bob, mandate: mandates.acme })).toBe(
      'permission_denied',
    )
    expect(
      await code('POST', { path: '/permitted', site, token: tokens.alice, mandate: mandates.acme }),
    ).toMatch(/^(body_too_large|upstream_unavailable)$/)
  })

  it('login: ambiguous headers, cross-site, the body’s type, its text, its fields, then the password', async () => {
    const send = async (lines: string[], body: string) =>
      codeOf(
        await sendLines(gateway.url, 'POST /auth/login', [...lines, `Content-Length: ${body.length}`], body),
      )
    expect(
      await send(
        ['X-Mandate-Id: a', 'X-Mandate-Id: a', 'Sec-Fetch-Site: cross-site', 'Content-Type: text/plain'],
        'x',
      ),
    ).toBe('header_ambiguous')
    expect(await send(['Sec-Fetch-Site: cross-site', 'Content-Type: text/plain'], 'x')).toBe(
      'cross_site_request',
    )
    expect(await send(['Content-Type: text/plain'], 'x')).toBe('unsupported_media_type')
    expect(await send(['Content-Type: application/json'], 'x')).toBe('body_invalid')
    expect(await send(['Content-Type: application/json'], '{}')).toBe('validation_failed')
    expect(await send(['Content-Type: application/json'], '{"username":"a","password":"b"}')).toBe(
      'credentials_invalid',
    )
  })
})

describe('the address limit', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({ environment: { RATE_LIMIT_ADDRESS: '2/60s' } })
  })
  afterAll(async () => {
    await gateway.stop()
  })

  it('comes after 400, 404 and 405 of the path, and before everything else', async () => {
    const code = async (line: string, ...lines: string[]) => codeOf(await sendLines(gateway.url, line, lines))
    for (let count = 0; count < 5; count += 1) {
      expect(await code('GET /a//b')).toBe('path_ambiguous')
      expect(await code('GET /nothing')).toBe('not_found')
      expect(await code('PUT /auth/me')).toBe('method_not_allowed')
    }
    expect(await code('GET /auth/me')).toBe('authentication_required')
    // it counts too
    expect(await code('GET /auth/me', 'X-Mandate-Id: a', 'X-Mandate-Id: b')).toBe('header_ambiguous')
    expect(await code('GET /auth/me', 'X-Mandate-Id: a', 'X-Mandate-Id: b')).toBe('rate_limited')
    expect(await code('POST /auth/logout', 'Cookie: auth_token=x', 'Sec-Fetch-Site: cross-site')).toBe(
      'rate_limited',
    )
    expect(await code('GET /auth/me')).toBe('rate_limited')
    expect(await code('GET /nothing')).toBe('not_found')
  })
})
