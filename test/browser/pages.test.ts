import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { openBrowser, signIn } from '../support/chromium.js'
import { mandates, tokenFor, users, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { accessibilityFaults } from '../support/open-page.js'
import { keepPicture, pictures } from '../support/pictures.js'

const wide = { width: 1360, height: 850 }
const phone = { width: 390, height: 844 }
const mostBytes = 300 * 1024
const mostShift = 0.1

let gateway: TestGateway
let browser: Browser
beforeAll(async () => {
  const provider = {
    GOOGLE_CLIENT_ID: 'console',
    GOOGLE_CLIENT_SECRET: 'never-asked',
    MSFT_CLIENT_ID: 'console',
    MSFT_CLIENT_SECRET: 'never-asked',
  }
  ;[gateway, browser] = await Promise.all([
    startTestGateway({
      demoUpstream: true,
      sealing: true,
      environment: { COHERENCE_LEASE_MS: '5000', ...provider },
    }),
    openBrowser(),
  ])
  await Promise.all([...useTheGateway(), ...fillTheLists()])
}, 60_000)
afterAll(async () => {
  await browser.close()
  await gateway.stop()
})

/** Requests, let in and refused, so that there is something to show. */
function useTheGateway(): Promise<unknown>[] {
  const call = async (user: DemoUser, mandate: string, method: string) => {
    const { token } = await tokenFor(gateway.database, user)
    const headers = {
      Authorization: `Bearer ${token}`,
      'X-Mandate-Id': mandate,
      'Content-Type': 'application/json',
    }
    for (let count = 0; count < 15; count += 1)
      await fetch(`${gateway.url}/api/crm/contacts`, {
        method,
        headers,
        ...(method === 'POST' ? { body: '{"name":"Ada"}' } : {}),
      })
  }
  return [
    call('alice', mandates.acme, 'GET'),
    call('bob', mandates.acme, 'POST'),
    call('alice', mandates.globex, 'GET'),
    call('alice', mandates.globex, 'POST'),
  ]
}

/** What days before today and people would have left behind. */
function fillTheLists(): Promise<unknown>[] {
  const { sql } = gateway.database
  const use = `insert into usage_daily (mandate_id, day, requests, denials)
      select $1, (now() at time zone $4)::date - n, $2 * (40 + 17 * (n % 5) + 90 * (n % 7) / 6),
        $3 * (1 + n % 4)
      from generate_series(1, 40) as n`
  return [
    sql(use, [mandates.acme, 9, 5, 'utc']),
    sql(use, [mandates.globex, 4, 2, 'utc']),
    sql(
      `insert into subscriptions (mandate_id, plan, requests_per_month, members, instances)
        values ($1, 'business', 30000, 4, 10), ($2, 'team', 5000, 50, 1)`,
      [mandates.acme, mandates.globex],
    ),
    sql(
      `insert into user_identities (user_id, authority, issuer, subject, email)
        values ($1, 'google', 'https://accounts.google.com', 'alice-at-google', 'alice@example.com')`,
      [users.alice],
    ),
    sql(
      `update projects set status = 'active', note = 'The first draft is ready.' where name = 'Website relaunch'`,
    ),
    sql(`update projects set status = 'waiting' where name = 'Spring campaign'`),
  ]
}

interface Visit {
  page: Page
  /** What went wrong since the last page, in the browser's own words. */
  errors: string[]
}

/** Somebody who has signed in, whose browser is watched. */
async function watched(user: DemoUser): Promise<Visit> {
  const context = await browser.newContext({
    locale: 'en-GB',
    viewport: wide,
    colorScheme: 'light',
    reducedMotion: 'reduce',
  })
  const errors: string[] = []
  const page = await signIn(context, gateway.url, user)
  watchHosts(context, errors)
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url}`)
  })
  await page.addInitScript(`
    window.layoutShift = 0
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.layoutShift += entry.value
    }).observe({ type: 'layout-shift', buffered: true })`)
  return { page, errors }
}

function watchHosts(context: BrowserContext, errors: string[]): void {
  context.on('request', (request) => {
    if (!request.url().startsWith(gateway.url) && !/^(?:data|blob):/.test(request.url()))
      errors.push(`asked another host: ${request.url()}`)
  })
}

const unfinished =
  'main [aria-busy=true], main .mantine-Loader-root, main .mantine-Skeleton-root, main .chart-empty'

/** Opens a page and waits until everything that it loads is there. */
async function open(page: Page, href: string): Promise<void> {
  await page.goto(gateway.url + href)
  await page.locator('main h1').waitFor()
  await page.locator(unfinished).first().waitFor({ state: 'detached' })
}

/** Everything that must be right about any page, as a list of what is not. */
async function faultsOf({ page, errors }: Visit, href: string, name: string): Promise<string[]> {
  errors.length = 0
  const faults: string[] = []
  await page.setViewportSize(wide)
  await open(page, href)
  const shift = await page.evaluate<number>('window.layoutShift')
  if (shift > mostShift) faults.push(`moves while it loads: ${shift}`)
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme })
    // the rest is the same
    faults.push(...(await accessibilityFaults(page, ...(scheme === 'light' ? [] : [['color-contrast']]))))
    await keepPicture(page, `${name}-${scheme}-wide`, { fullPage: true })
  }
  await page.setViewportSize(phone)
  // what a script lays out anew comes a moment later
  await page
    .waitForFunction(`document.documentElement.scrollWidth <= ${phone.width}`, undefined, { timeout: 3000 })
    .catch(() => undefined)
  const width = await page.evaluate<number>('document.documentElement.scrollWidth')
  if (width > phone.width) faults.push(`is ${width} wide on a phone`)
  for (const scheme of pictures ? (['dark', 'light'] as const) : []) {
    await page.emulateMedia({ colorScheme: scheme })
    await keepPicture(page, `${name}-${scheme}-phone`, { fullPage: true })
  }
  await page.emulateMedia({ colorScheme: 'light' })
  return [...faults, ...errors].map((fault) => `${href}: ${fault}`)
}

/** The pages that the navigation shows, and of each the first that it leads on to. */
async function walk(user: DemoUser): Promise<{ seen: string[]; faults: string[] }> {
  const visit = await watched(user)
  const hrefOf = (link: string) => new URL(link, gateway.url).pathname
  const links = await visit.page
    .locator('.frame > .side nav a')
    .evaluateAll((all) => all.map((one) => one.getAttribute('href') ?? ''))
  const [seen, faults]: [string[], string[]] = [[], []]
  for (const href of links.map(hrefOf)) {
    const name = `${user}-${href.replace('/console/', '') || 'home'}`
    faults.push(...(await faultsOf(visit, href, name)))
    seen.push(href)
    const below = await visit.page
      .locator(`main .list a[href^="${href}/"]`)
      .first()
      .getAttribute('href', { timeout: 50 })
      .catch(() => null)
    if (below === null || href === '/console/') continue
    faults.push(...(await faultsOf(visit, hrefOf(below), `${name}-one`)))
    seen.push(hrefOf(below))
  }
  await visit.page.context().close()
  return { seen, faults }
}

describe('every page of the navigation is accessible, fits a phone, keeps its layout and loads only own files', () => {
  it.each<[DemoUser, string[]]>([
    [
      'alice',
      ['/console/', '/console/account', '/console/projects', '/console/portal-clients', '/console/roles'],
    ],
    ['petra', ['/console/users', '/console/subscriptions', '/console/usage', '/console/billing']],
    ['root', ['/console/overview', '/console/nodes', '/console/database', '/console/logs']],
  ])(
    'to %s',
    async (user, known) => {
      const { seen, faults } = await walk(user)
      expect(seen).toEqual(expect.arrayContaining(known))
      expect(faults).toEqual([])
    },
    120_000,
  )
})

it('the console is in front of somebody after less than 300 KB', async () => {
  const context = await browser.newContext({ locale: 'en-GB', viewport: wide })
  const page = await context.newPage()
  const session = await context.newCDPSession(page)
  let bytes = 0
  session.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength
  })
  await session.send('Network.enable')
  await page.goto(`${gateway.url}/console`)
  await page.getByLabel('Username').fill('alice')
  await page.getByLabel('Password', { exact: true }).fill('demo-password-1')
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('heading', { name: /^Hello/ }).waitFor()
  expect(bytes).toBeGreaterThan(50 * 1024)
  expect(bytes).toBeLessThan(mostBytes)
  if (pictures) process.stderr.write(`first load: ${Math.round(bytes / 1024)} KB\n`)
  await context.close()
})
