import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { mandates } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import {
  comparable,
  contentOf,
  cookieOf,
  demoPortal,
  enter,
  insertClientWithLink,
  nowSeconds,
  sealed,
  sessionOf,
} from '../support/portal.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

describe('a link', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({
      environment: {
        COOKIE_SECURE: 'true',
        COOKIE_SAMESITE: 'none',
        CORS_ORIGINS: 'https://app.example.com',
      },
    })
  })
  afterAll(() => gateway.stop())

  const show = (query: string, headers = {}) => sendRequest(gateway.url, `/portal/enter${query}`, { headers })
  const lastUse = async (link: string) =>
    (
      await gateway.database.sql<{ last_used_at: Date | null }>(
        `select last_used_at from portal_access_tokens where id = '${link}'`,
      )
    )[0]?.last_used_at

  it('shows a page with one button and signs nobody in: scanners of mails look at links', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    for (const method of ['GET', 'HEAD']) {
      const answer = await sendRequest(gateway.url, `/portal/enter?token=${made.token}`, { method })
      expect(answer.status).toBe(200)
      expect(answer.headers).not.toHaveProperty('set-cookie')
    }
    const { text } = await show(`?token=${made.token}`)
    expect(text.match(/<button/g)).toHaveLength(1)
    expect(text).toContain('<form method="post" action="/portal/enter">')
    expect(text).not.toContain('<script')
    expect(text).not.toMatch(/<a |<img|<link|http-equiv/)
    expect(await lastUse(made.link)).toBeNull()
  })

  it('opens the portal by its button: sealed session, use noted and audited, token gone from the address', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    const before = nowSeconds()
    const answer = await enter(gateway.url, made.token)
    expect(answer.status).toBe(303)
    expect(answer.headers.location).toBe('/portal')
    const { value, attributes } = cookieOf(answer)
    expect(attributes.filter((one) => !one.startsWith('Expires='))).toEqual([
      `Max-Age=${30 * 24 * 60 * 60}`,
      'Path=/',
      'HttpOnly',
      'SameSite=Lax',
      'Secure',
    ])
    const content = contentOf(value)
    expect(Object.keys(content)).toEqual(['tid', 'iat'])
    expect(content.tid).toBe(made.link)
    expect(content.iat).toBeGreaterThanOrEqual(before)
    expect(content.iat).toBeLessThanOrEqual(nowSeconds())
    expect(value).toBe(sealed(content))
    expect(
      (await sendRequest(gateway.url, '/portal/api/me', { headers: { Cookie: `portal_session=${value}` } }))
        .status,
    ).toBe(200)
    expect((await lastUse(made.link))!.getTime()).toBeGreaterThan(Date.now() - 10_000)
    expect(
      await gateway.database.sql(
        `select user_id, mandate_id, request_id
          from audit_events
          where action = 'portal_entered' and details->>'subject' = 'portal_link:${made.link}'`,
      ),
    ).toEqual([{ user_id: null, mandate_id: mandates.acme, request_id: answer.headers['x-request-id'] }])
  })

  it('the demo’s link opens the portal', async () => {
    expect((await enter(gateway.url, demoPortal.token)).headers.location).toBe('/portal')
  })

  it('can be opened again: on another device, and after signing out', async () => {
    for (let round = 0; round < 2; round += 1)
      expect((await enter(gateway.url, demoPortal.token)).status).toBe(303)
  })

  describe('that does not count', () => {
    const wrong = async (): Promise<Record<string, string>> => {
      const insert = () => insertClientWithLink(gateway.database, mandates.acme)
      const [revoked, expired, inactive, disabled] = [
        await insert(),
        await insert(),
        await insertClientWithLink(gateway.database, mandates.acme, { active: false }),
        await insertClientWithLink(gateway.database, mandates.initech),
      ]
      await gateway.database.sql(
        `update portal_access_tokens set revoked_at = now() where id = '${revoked.link}'`,
      )
      await gateway.database.sql(
        `update portal_access_tokens set expires_at = now() where id = '${expired.link}'`,
      )
      return {
        'an unknown token': randomBytes(32).toString('base64url'),
        'a revoked one': revoked.token,
        'an expired one': expired.token,
        'of an inactive client': inactive.token,
        'of a disabled mandate': disabled.token,
        'the hash in place of the token': sha256(demoPortal.token),
        'the id of the link': demoPortal.link,
        'with a letter more': `${demoPortal.token}x`,
        'with a blank': ` ${demoPortal.token}`,
        'in capitals': demoPortal.token.toUpperCase(),
        none: '',
        'with NUL': '\0',
        'a long one': 'x'.repeat(600),
      }
    }

    it('is answered with the same page, byte for byte, and no cookie', async () => {
      const first = comparable(await sendRequest(gateway.url, '/portal'))
      for (const [what, token] of Object.entries(await wrong())) {
        const answer = await enter(gateway.url, token)
        expect([what, answer.status, answer.headers['content-type']]).toEqual([
          what,
          401,
          'text/html; charset=utf-8',
        ])
        expect([what, answer.headers['set-cookie']]).toEqual([what, undefined])
        expect([what, comparable(answer)]).toEqual([what, first])
      }
    })

    it('takes the same time, whatever is wrong with it', async () => {
      const {
        'an unknown token': unknown = '',
        'a revoked one': revoked = '',
        'an expired one': expired = '',
        'of an inactive client': inactive = '',
      } = await wrong()
      const times = new Map<string, number[]>(
        [unknown, revoked, expired, inactive].map((token) => [token, []]),
      )
      for (let round = 0; round < 60; round += 1) {
        for (const [token, taken] of times) {
          const before = performance.now()
          await enter(gateway.url, token)
          taken.push(performance.now() - before)
        }
      }
      const medians = [...times.values()].map((taken) => taken.sort((a, b) => a - b)[taken.length / 2]!)
      expect(Math.max(...medians) / Math.min(...medians)).toBeLessThan(1.6)
    })

    it('a form that is sent twice, or holds something else, is wrong in the same way', async () => {
      for (const body of [
        'token=a&token=b',
        'other=1',
        '',
        `token=${demoPortal.token}&token=${demoPortal.token}`,
      ]) {
        const answer = await sendRequest(gateway.url, '/portal/enter', {
          method: 'POST',
          headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': body.length },
          body,
        })
        expect([body, answer.headers['set-cookie']]).toEqual([body, undefined])
        expect([body, answer.headers['content-type']]).toEqual([body, 'text/html; charset=utf-8'])
        expect([body, [400, 401].includes(answer.status)]).toEqual([body, true])
      }
    })

    it('nothing that is wrong can be seen before the button is pressed', async () => {
      const pages = new Set(
        await Promise.all(
          Object.values(await wrong())
            .filter((token) => token !== '' && token.length <= 512 && !/[\0 ]/.test(token))
            .map(async (token) => {
              const { status, text } = await show(`?token=${encodeURIComponent(token)}`)
              return `${status} ${text.replace(token, '')}`
            }),
        ),
      )
      expect([...pages]).toEqual([
        `200 ${(await show(`?token=${demoPortal.token}`)).text.replace(demoPortal.token, '')}`,
      ])
    })

    it('a page without a token asks for access', async () => {
      for (const query of ['', '?token=', '?token=a&token=b', `?token=${'x'.repeat(600)}`])
        expect(comparable(await show(query))).toBe(comparable(await sendRequest(gateway.url, '/portal')))
    })
  })

  it('the token is in no header of any answer, in no log and not in the audit', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    const answers = [
      await show(`?token=${made.token}`),
      await enter(gateway.url, made.token),
      await show(`?token=${made.token}&next=%2F%2Fevil`),
      await enter(gateway.url, `${made.token}x`),
    ]
    for (const { headers } of answers) expect(JSON.stringify(headers)).not.toContain(made.token)
    for (const { headers } of answers.filter((one) => one.status !== 303))
      expect(headers['referrer-policy']).toBe('strict-origin')
    expect(gateway.logLines.join('\n')).not.toContain(made.token)
    expect(JSON.stringify(await gateway.database.sql('select * from audit_events'))).not.toContain(made.token)
    expect(JSON.stringify(await gateway.database.sql('select * from portal_access_tokens'))).not.toContain(
      made.token,
    )
  })

  it('what a link says is shown as text', async () => {
    const { text } = await show(
      `?token=${encodeURIComponent('"><script>alert(1)</script>')}&next=${encodeURIComponent('/portal/"><script>')}`,
    )
    expect(text).not.toContain('<script')
    expect(text).toContain('value="&quot;&gt;&lt;script&gt;')
  })

  it('a page of another site cannot sign anybody in', async () => {
    const refused = async (headers: Record<string, string>) => {
      const answer = await enter(gateway.url, demoPortal.token, { headers })
      if (answer.status === 303) return false
      expect([answer.status, answer.headers['set-cookie'], answer.headers['content-type']]).toEqual([
        403,
        undefined,
        'text/html; charset=utf-8',
      ])
      return true
    }
    for (const site of ['cross-site', 'same-site', 'anything'])
      expect([site, await refused({ 'Sec-Fetch-Site': site })]).toEqual([site, true])
    for (const origin of ['https://evil.example', 'null'])
      expect([origin, await refused({ Origin: origin })]).toEqual([origin, true])
    for (const headers of [
      { 'Sec-Fetch-Site': 'same-origin' },
      { 'Sec-Fetch-Site': 'none' },
      { Origin: gateway.url },
      { Origin: 'https://app.example.com', 'Sec-Fetch-Site': 'cross-site' },
      {},
    ]) {
      expect([headers, await refused(headers as Record<string, string>)]).toEqual([headers, false])
    }
  })

  it('only a form is taken', async () => {
    const answer = await sendRequest(gateway.url, '/portal/enter', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token: demoPortal.token }),
    })
    expect([answer.status, answer.headers['set-cookie']]).toEqual([415, undefined])
  })

  describe('next', () => {
    it.each([
      '/portal',
      '/portal?project=1',
      '/portal/documents',
      '/portal/documents/a%20b?x=%2F..%2F',
      '/portal/enter',
    ])('%s lies inside the portal', async (next) => {
      expect((await enter(gateway.url, demoPortal.token, { next })).headers.location).toBe(next)
    })

    it.each([
      '/',
      '/portalx',
      '/portal/../admin',
      '/portal/%2e%2e/admin',
      '/portal/%2F/evil',
      '//evil.example',
      '//evil.example/portal',
      '/\\evil.example',
      '/portal\\..\\x',
      'https://evil.example/portal',
      'portal',
      'javascript:alert(1)',
      '/portal//evil',
      '/portal\r\nSet-Cookie: a=b',
      '/portal\t',
      '/portal#x',
      '/portal/é',
      '/portal/%zz',
      '/portal?\r\nX: y',
      `/portal/${'x'.repeat(3000)}`,
      '',
      ' /portal',
    ])('%j leads to the portal’s first page', async (next) => {
      expect((await enter(gateway.url, demoPortal.token, { next })).headers.location).toBe('/portal')
    })

    it('goes through the page into its form', async () => {
      expect((await show(`?token=x&next=${encodeURIComponent('/portal/documents?a=1&b=2')}`)).text).toContain(
        '<input type="hidden" name="next" value="/portal/documents?a=1&amp;b=2">',
      )
      expect((await show('?token=x&next=https%3A%2F%2Fevil.example')).text).not.toContain('evil')
      expect((await show('?token=x')).text).not.toContain('name="next"')
    })
  })

  describe('signing out', () => {
    it('clears the cookie and says so', async () => {
      const answer = await sendRequest(gateway.url, '/portal/logout', {
        method: 'POST',
        headers: sessionOf(demoPortal.link),
      })
      expect([answer.status, answer.headers.location]).toEqual([303, '/portal/logout'])
      const { value, attributes } = cookieOf(answer)
      expect(value).toBe('')
      expect(attributes.filter((one) => !one.startsWith('Expires='))).toEqual([
        'Max-Age=0',
        'Path=/',
        'HttpOnly',
        'SameSite=Lax',
        'Secure',
      ])
      expect((await sendRequest(gateway.url, '/portal/logout')).text).toContain('You are signed out')
    })

    it('a page that is only looked at signs nobody out, and asks', async () => {
      const answer = await sendRequest(gateway.url, '/portal/logout', { headers: sessionOf(demoPortal.link) })
      expect(answer.headers).not.toHaveProperty('set-cookie')
      expect(answer.text).toContain('<form method="post" action="/portal/logout">')
    })

    it('works without a session, and not from another site’s page', async () => {
      expect((await sendRequest(gateway.url, '/portal/logout', { method: 'POST' })).status).toBe(303)
      const crossSite = await sendRequest(gateway.url, '/portal/logout', {
        method: 'POST',
        headers: { ...sessionOf(demoPortal.link), 'Sec-Fetch-Site': 'cross-site' },
      })
      expect([crossSite.status, crossSite.headers['set-cookie']]).toEqual([403, undefined])
      const withBearer = await sendRequest(gateway.url, '/portal/logout', {
        method: 'POST',
        headers: { ...sessionOf(demoPortal.link), Authorization: 'Bearer x', 'Sec-Fetch-Site': 'cross-site' },
      })
      expect(withBearer.status).toBe(303) // no page can send such a header; what it does harms nobody
    })
  })
})
