import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { mandates } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { demoPortal, enter, insertClientWithLink, insertProject, sessionOf } from '../support/portal.js'

describe('a page of the portal', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({
      routes: `
upstreams: { own: { targets: ['http://127.0.0.1:1'] } }
routes:
  /portal/documents: { upstream: own, auth: portal, title: { en: Documents, de: Unterlagen } }
  /invoices-and-offers: { upstream: own, auth: portal }
  /internal: { upstream: own }
`,
    })
  })
  afterAll(() => gateway.stop())

  const get = (path: string, headers: Record<string, string> = {}) =>
    sendRequest(gateway.url, path, { headers })
  const session = sessionOf(demoPortal.link)

  const pages: [string, () => Promise<Awaited<ReturnType<typeof get>>>][] = [
    ['access required', () => get('/portal')],
    ['enter', () => get('/portal/enter?token=x')],
    ['a wrong link', () => enter(gateway.url, 'x')],
    ['projects', () => get('/portal', session)],
    ['a project', () => get(`/portal?project=${demoPortal.campaign}`, session)],
    ['an unknown project', () => get('/portal?project=x', session)],
    ['sign out?', () => get('/portal/logout', session)],
    ['signed out', () => get('/portal/logout')],
    ['nothing there', () => get('/portal/nowhere', { Accept: 'text/html' })],
  ]

  it.each(pages)(
    '(%s) may run no script, be in no frame, load nothing and tell nobody where it was',
    async (_what, open) => {
      const { headers, text } = await open()
      expect(headers['content-type']).toBe('text/html; charset=utf-8')
      const policy = headers['content-security-policy']
      expect(policy).toMatch(
        /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
      )
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'strict-origin',
        'cache-control': 'no-store',
        vary: expect.stringContaining('Accept-Language'),
      })
      expect(text).not.toMatch(/<script|javascript:|\son\w+=|style="/)
      expect(text.match(/<h1>/g)).toHaveLength(1)
      expect(text).toContain('<meta name="viewport"')
      expect(text).toContain('color-scheme: light dark')
    },
  )

  it.each(pages)('(%s) is in the language that the browser prefers, and says so', async (_what, open) => {
    expect((await open()).text).toContain('<html lang="en">')
  })

  it('is in German where that is preferred', async () => {
    const german = async (path: string, headers: Record<string, string> = {}) =>
      (await get(path, { ...headers, 'Accept-Language': 'xx, de-CH;q=0.9, en;q=0.8' })).text
    expect(await german('/portal')).toMatch(/<html lang="de">[\s\S]*Zugang erforderlich/)
    expect(await german('/portal/enter?token=x')).toContain('Portal öffnen')
    expect(await german('/portal', session)).toMatch(/Ihre Projekte[\s\S]*Abmelden/)
    expect(await german(`/portal?project=${demoPortal.campaign}`, session)).toContain('Unterlagen')
    expect(await german('/portal/logout')).toContain('Sie sind abgemeldet')
    expect((await get('/portal', { 'Accept-Language': 'de;q=0.5, en-GB' })).text).toContain(
      '<html lang="en">',
    )
  })

  it('shows what operators wrote as text', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    await gateway.database.sql(`update portal_clients set name = '<b>Bold</b>' where id = '${made.client}'`)
    const project = await insertProject(gateway.database, mandates.acme, {
      client_id: made.client,
      name: '<script>alert(1)</script>',
    })
    await gateway.database.sql(
      `update projects set note = '<img src=x onerror=alert(1)>', status = 'waiting' where id = '${project}'`,
    )
    for (const path of ['/portal', `/portal?project=${project}`]) {
      const { text } = await get(path, sessionOf(made.link))
      expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
      expect(text).toContain('&lt;b&gt;Bold&lt;/b&gt;')
      expect(text).not.toMatch(/<script|<img|<b>/)
      expect(text).toContain('Waiting for you')
    }
  })

  it('of a project leads to the routes of the portal, and to no others', async () => {
    const { text } = await get(`/portal?project=${demoPortal.campaign}`, session)
    expect(
      [...text.matchAll(/<li><a href="([^"]+)">([^<]+)</g)].map(([, href, title]) => [href, title]),
    ).toEqual([
      [`/portal/documents?project=${demoPortal.campaign}`, 'Documents'],
      [`/invoices-and-offers?project=${demoPortal.campaign}`, 'Invoices and offers'],
    ])
  })

  it('is no preview where a real link was opened', async () => {
    expect((await get('/portal', session)).text).not.toContain('Preview')
  })

  it('of many projects leads on to the rest', async () => {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    await gateway.database.sql(
      `insert into projects (mandate_id, name, client_id)
        select '${mandates.acme}', 'Project ' || n, '${made.client}'
        from generate_series(1, 60) n`,
    )
    const first = await get('/portal', sessionOf(made.link))
    const [, next] = /<a href="(\/portal\?cursor=[^"]+)">More projects/.exec(first.text)!
    const second = await get(next!, sessionOf(made.link))
    expect([first, second].map(({ text }) => text.match(/<li>/g)?.length)).toEqual([50, 10])
    expect(second.text).not.toContain('More projects')
  })

  it('a program that looks for something below /portal that is not there gets a problem', async () => {
    for (const headers of [
      {},
      { Accept: 'application/json' },
      { Accept: 'text/html', 'Sec-Fetch-Mode': 'cors' },
    ])
      expect(
        (await get('/portal/nowhere', headers as Record<string, string>)).headers['content-type'],
      ).toContain('application/problem+json')
    expect((await get('/portal/api/nowhere', { Accept: 'text/html' })).headers['content-type']).toContain(
      'application/problem+json',
    )
  })
})
