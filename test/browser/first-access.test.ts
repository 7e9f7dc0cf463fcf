import { describe, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { administrationOf } from '../support/administration.js'
import { sendRequest } from '../support/http-client.js'
import { useConsole } from '../support/console.js'
import { users } from '../support/demo.js'
import { directoryOf, type Newcomer } from '../support/directory.js'
import { accessibilityFaults } from '../support/open-page.js'
import { keepPicture } from '../support/pictures.js'

const site = useConsole({
  profile: { reducedMotion: 'reduce' },
  gateway: {
    routes: `
upstreams:
  crm: { targets: [demo], requestHeaders: { set: { X-Service-Key: a-secret-of-the-service } } }
routes:
  /api/crm: { upstream: crm, mandate: required, permission: { context: RESOURCE, item: crm } }
  /told:
    { upstream: crm, host: crm.example.com, rewrite: /new, mandateFrom: [header, query], mandate: optional,
      rateLimit: { limit: 100/60s, by: mandate }, concurrency: 20, tell: [user, roles],
      addresses: [10.0.0.0/8], bodyLimit: 1024, timeoutMs: 900 }
`,
  },
})

/** Somebody, and a way to open a link for their password. */
async function withLink(issuer: 'petra' | Newcomer): Promise<Newcomer & { works: () => Promise<boolean> }> {
  const person = await directoryOf(site.gateway.database).user()
  const { status, body } = await administrationOf(site.gateway).ask(
    issuer,
    'post',
    `/admin/users/${person.id}/first-access`,
  )
  expect(status).toBe(201)
  return {
    ...person,
    works: async () =>
      (await sendRequest(site.gateway.url, new URL(String(body.url)).pathname)).status === 200,
  }
}

const row = (page: Page, name: string) => page.locator('.list tbody tr').filter({ hasText: name })

async function pictures(page: Page, name: string): Promise<void> {
  await keepPicture(page, `${name}-light`, { fullPage: true })
  await page.emulateMedia({ colorScheme: 'dark' })
  await keepPicture(page, `${name}-dark`, { fullPage: true })
  await page.setViewportSize({ width: 390, height: 844 })
  await keepPicture(page, `${name}-phone`, { fullPage: true })
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: 1360, height: 850 })
}

describe('a platform admin', () => {
  it('sees which setup links are open, for whom, from whom and until when, and withdraws one', async () => {
    const [mine, others] = [
      await withLink('petra'),
      await withLink(await directoryOf(site.gateway.database).user({ isPlatformAdmin: true })),
    ]
    const page = await site.as('petra')
    await page.getByRole('link', { name: 'First-access links' }).click()
    await row(page, mine.username).getByRole('link', { name: 'petra' }).waitFor()
    expect(await row(page, others.username).getByRole('link').allInnerTexts()).toEqual([
      others.username,
      expect.stringMatching(/^user-/),
    ])
    expect(await row(page, mine.username).innerText()).toMatch(/in \d+ (?:hours|days)/)
    expect(await accessibilityFaults(page)).toEqual([])
    await pictures(page, 'open-links')

    await page.getByRole('button', { name: `Actions for ${mine.username}` }).click()
    await page.getByRole('menuitem', { name: 'Withdraw' }).click()
    expect(await mine.works()).toBe(true)
    await page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click()
    await row(page, mine.username).waitFor({ state: 'detached' })
    expect([await mine.works(), await others.works()]).toEqual([false, true])
  }, 60_000)

  it('sees on a user’s page what that user has issued, and withdraws all of it at once', async () => {
    const issuer = await directoryOf(site.gateway.database).user({ isPlatformAdmin: true })
    const link = await withLink(issuer)
    const { ask: asks } = administrationOf(site.gateway)
    const secret = await asks(issuer, 'post', `/admin/service-accounts/${users.reports}/secrets`, {
      body: { label: 'kept by the issuer' },
    })
    expect(secret.status).toBe(201)
    const page = await site.as('petra')
    await page.goto(`${site.gateway.url}/console/users/${issuer.id}`)
    await row(page, 'kept by the issuer').getByRole('link', { name: 'reports' }).waitFor()
    await row(page, link.username).getByText('First-access link').waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    await pictures(page, 'issued')

    await page.getByRole('button', { name: 'Withdraw all' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('Links: 1, secrets: 1, keys: 0, tokens: 0.').waitFor()
    await keepPicture(page, 'issued-dialog')
    await dialog.getByRole('button', { name: 'Withdraw all' }).click()
    await page.getByText('Nothing that is still good').waitFor()
    expect(await link.works()).toBe(false)
    expect(
      await site.gateway.database.sql('select from service_secrets where created_by = $1', [issuer.id]),
    ).toEqual([])
  }, 60_000)

  it('finds what a deleted admin has issued; a user who issued nothing has no such section', async () => {
    const { ask: asks } = administrationOf(site.gateway)
    const issuer = await directoryOf(site.gateway.database).user({ isPlatformAdmin: true })
    await asks(issuer, 'post', `/admin/service-accounts/${users.reports}/secrets`, {
      body: { label: 'outlives its maker' },
    })
    expect((await asks('petra', 'delete', `/admin/users/${issuer.id}`)).status).toBe(200)
    const page = await site.as('petra')
    await page.goto(`${site.gateway.url}/console/users/${issuer.id}`)
    await row(page, 'outlives its maker').waitFor()
    await pictures(page, 'issued-gone')
    await page.goto(`${site.gateway.url}/console/users/${users.bob}`)
    await page.getByRole('heading', { name: 'bob' }).waitFor()
    await page.locator('main [aria-busy=true]').first().waitFor({ state: 'detached' })
    expect(await page.getByText('What this person issued').count()).toBe(0)
  }, 60_000)

  it('reads all of it in German', async () => {
    await withLink('petra')
    const page = await site.as('petra')
    await page.evaluate(`localStorage.setItem('mandate-gateway.language', 'de')`)
    await page.goto(`${site.gateway.url}/console/first-access`)
    await page.getByRole('heading', { name: 'Erstzugangs-Links' }).waitFor()
    await row(page, 'petra').first().waitFor()
    await page.goto(`${site.gateway.url}/console/users/${users.petra}`)
    await page.getByRole('button', { name: 'Alles zurückziehen' }).click()
    await page
      .getByRole('dialog')
      .getByText(/Links: \d, Geheimnisse: 0/)
      .waitFor()
  }, 60_000)
})

it('a SysAdmin unfolds all that the route file says of a route, without the values of headers', async () => {
  const page = await site.as('root')
  await page.getByRole('link', { name: 'Routes' }).click()
  await page.getByRole('button', { name: 'Details of crm.example.com/told' }).click()
  const facts = page.locator('tr.unfolded .facts')
  const text = await facts.innerText()
  for (const said of [
    'crm.example.com',
    '/new in place of the prefix',
    'headers, query',
    '100 in 60 s, each mandate',
    '20 requests, all together',
    '900 ms',
    '1 KiB',
    '10.0.0.0/8',
    'user, roles',
    'set: X-Service-Key',
  ])
    expect(text).toContain(said)
  expect(text).not.toContain('a-secret-of-the-service')
  expect(await accessibilityFaults(page)).toEqual([])
  await pictures(page, 'routes')
}, 60_000)
