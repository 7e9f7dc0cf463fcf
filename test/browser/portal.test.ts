import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { sendRequest } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { openBrowser } from '../support/chromium.js'
import { accessibilityFaults, keepPicture, looks, openPage } from '../support/open-page.js'
import { demoPortal, insertClientWithLink, insertProject } from '../support/portal.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

type Look = keyof typeof looks

describe('the portal in a browser', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let browser: Browser
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      environment: { COHERENCE_LEASE_MS: '5000' },
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /portal/documents: { upstream: own, auth: portal, title: { en: Documents, de: Dokumente } }
`,
    })
    browser = await openBrowser()
  })
  afterEach(async () => {
    upstream.answerWith(undefined)
    for (const context of browser.contexts()) await context.close()
  })
  afterAll(async () => {
    await browser.close()
    await gateway.stop()
    await upstream.stop()
  })

  /** A client with three projects, and the address of its link. */
  async function makeClient(name: string) {
    const made = await insertClientWithLink(gateway.database, mandates.acme)
    await gateway.database.sql(`update portal_clients set name = $1 where id = $2`, [name, made.client])
    const projects = []
    for (const [project, status, note] of [
      ['Website relaunch', 'active', 'The first draft is ready.\nPlease look at it by Friday.'],
      ['Spring campaign', 'waiting', null],
      [
        'A very long project name that would not fit into one line of a telephone, however small its letters were',
        null,
        null,
      ],
    ] as const) {
      const id = await insertProject(gateway.database, mandates.acme, {
        name: project,
        client_id: made.client,
      })
      await gateway.database.sql('update projects set status = $1, note = $2 where id = $3', [
        status,
        note,
        id,
      ])
      projects.push(id)
    }
    return { ...made, projects, url: `${gateway.url}/portal/enter?token=${made.token}` }
  }

  /** Everything that must be right about any page that is shown. */
  async function check(page: Page, name: string) {
    await keepPicture(page, name)
    expect(await accessibilityFaults(page)).toEqual([])
    expect(
      await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth'),
    ).toBe(true)
    expect(await page.locator('html').getAttribute('lang')).toMatch(/^(en|de)$/)
  }

  it.each<[Look, string]>([
    ['light', 'en-GB'],
    ['dark', 'de-DE'],
    ['phone', 'en-US'],
  ])(
    'is entered by a link, looked through, and left again: %s, %s',
    async (look, locale) => {
      const client = await makeClient('Brightside GmbH')
      const { page, errors } = await openPage(browser, { ...looks[look], locale, javaScriptEnabled: true })
      const german = locale.startsWith('de')
      await page.goto(client.url)
      await check(page, `${look}-1-enter`)
      await page.getByRole('button', { name: german ? 'Portal öffnen' : 'Open the portal' }).click()
      expect(page.url()).toBe(`${gateway.url}/portal`)
      await check(page, `${look}-2-projects`)

      await page.getByRole('link', { name: /Website relaunch/ }).click()
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Website relaunch')
      expect(await page.getByText(german ? 'In Arbeit' : 'In progress').count()).toBe(1)
      await check(page, `${look}-3-project`)

      await page.getByRole('link', { name: german ? 'Dokumente' : 'Documents' }).click()
      expect(upstream.last().headers).toMatchObject({ 'x-portal-client-id': client.client })
      expect(upstream.last().url).toBe(`/portal/documents?project=${client.projects[0]!}`)
      await page.goBack()

      await page.getByRole('button', { name: german ? 'Abmelden' : 'Sign out' }).click()
      expect(page.url()).toBe(`${gateway.url}/portal/logout`)
      await check(page, `${look}-4-signed-out`)
      const refused = await page.goto(`${gateway.url}/portal`)
      expect(refused?.status()).toBe(401)
      await check(page, `${look}-5-access-required`)
      expect(errors.filter((error) => !error.includes('401'))).toEqual([])
    },
    120_000,
  )

  it('needs no script', async () => {
    const client = await makeClient('No script')
    const { page } = await openPage(browser, { ...looks.light, javaScriptEnabled: false })
    await page.goto(client.url)
    await page.locator('button').click()
    await page.locator('.projects a').first().click()
    expect(await page.locator('h1').textContent()).toContain('very long project name')
    await page.locator('footer button').click()
    expect(page.url()).toBe(`${gateway.url}/portal/logout`)
  })

  it('can be used with the keyboard alone', async () => {
    const client = await makeClient('Keyboard')
    const { page } = await openPage(browser, looks.light)
    await page.goto(client.url)
    await page.keyboard.press('Tab')
    expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${gateway.url}/portal`)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.waitForURL(/\?project=/)
  })

  it('keeps the token out of the address and out of every Referer', async () => {
    const client = await makeClient('Referer')
    const { page, requests } = await openPage(browser, looks.light)
    await page.goto(client.url)
    await page.locator('button').click()
    await page.getByRole('link', { name: /Spring/ }).click()
    await page.getByRole('link', { name: 'Documents' }).click()
    expect(requests.length).toBeGreaterThanOrEqual(4)
    const [, ...after] = requests
    for (const request of after) {
      expect(request.url()).not.toContain(client.token)
      expect(JSON.stringify(await request.allHeaders())).not.toContain(client.token)
    }
    expect(JSON.stringify(upstream.last())).not.toContain(client.token)
    await page.goto(`${gateway.url}/portal`)
    expect(await page.evaluate('document.referrer')).toBe('')
  })

  it('is shut at the next click once the link is revoked', async () => {
    const client = await makeClient('Revoked')
    const { page } = await openPage(browser, looks.light)
    await page.goto(client.url)
    await page.locator('button').click()
    const { token } = await tokenFor(gateway.database, 'alice')
    const revoked = await sendRequest(
      gateway.url,
      `/mandate/portal-clients/${client.client}/links/${client.link}`,
      {
        method: 'DELETE',
        headers: { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme },
      },
    )
    expect(revoked.status).toBe(200)
    await page.getByRole('link', { name: /Spring/ }).click()
    expect(await page.locator('h1').textContent()).toBe('Access required')
    await page.goto(client.url)
    await page.locator('button').click()
    expect(await page.locator('h1').textContent()).toBe('Access required')
    await page.goto(`${gateway.url}/portal/documents`)
    expect(await page.locator('h1').textContent()).toBe('Access required')
  })

  it('is shown as a preview to an operator who follows a button', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    const { page, errors } = await openPage(browser, looks.light)
    await page.context().addCookies([{ name: 'auth_token', value: token, url: gateway.url }])
    await page.goto(`${gateway.url}/projects/${demoPortal.relaunch}/portal-preview`)
    expect(page.url()).toBe(`${gateway.url}/portal?project=${demoPortal.relaunch}`)
    expect(await page.locator('h1').textContent()).toBe('Website relaunch')
    expect(await page.locator('.preview').textContent()).toContain('Brightside GmbH')
    await check(page, 'light-6-preview')
    expect(errors).toEqual([])
  })

  it('is not previewed, and nobody signed in, because a page of another site says so', async () => {
    const { token } = await tokenFor(gateway.database, 'alice')
    upstream.answerWith((_req, res) =>
      res.writeHead(200, { 'Content-Type': 'text/html' }).end(`
<a href="${gateway.url}/projects/${demoPortal.relaunch}/portal-preview">preview</a>
<form method="post" action="${gateway.url}/portal/enter">
  <input name="token" value="${demoPortal.token}"><button>enter</button>
</form>`),
    )
    const other = upstream.url.replace('127.0.0.1', 'localhost') // another site to a browser
    for (const press of ['a', 'button']) {
      const { page } = await openPage(browser, looks.light)
      await page.context().addCookies([{ name: 'auth_token', value: token, url: gateway.url }])
      await page.goto(other)
      const [answer] = await Promise.all([
        page.waitForResponse((one) => one.url().startsWith(gateway.url)),
        page.locator(press).click(),
      ])
      expect([press, answer.status()]).toEqual([press, 403])
      expect((await page.context().cookies(gateway.url)).map(({ name }) => name)).not.toContain(
        'portal_session',
      )
    }
  })
})
