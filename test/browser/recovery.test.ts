import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { startLine, type Line } from '../faults/support/line.js'
import { openBrowser, signIn } from '../support/chromium.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { roles, type DemoUser } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { keepPicture } from '../support/pictures.js'

let database: TestDatabase
let line: Line
let gateway: TestGateway
let browser: Browser
beforeAll(async () => {
  database = await createTestDatabase()
  line = await startLine(database.url)
  ;[gateway, browser] = await Promise.all([
    startTestGateway({ database: { ...database, url: line.url }, demoUpstream: true }),
    openBrowser(),
  ])
}, 60_000)
afterEach(async () => {
  line.heal()
  for (const context of browser.contexts()) await context.close()
})
afterAll(async () => {
  await browser.close()
  await gateway.stop()
  await line.stop()
  await database.drop()
})

const as = async (user: DemoUser): Promise<Page> =>
  await signIn(
    await browser.newContext({ locale: 'en-GB', viewport: { width: 1360, height: 850 } }),
    gateway.url,
    user,
  )
/** Nobody presses anything: what comes comes by itself. */
const comesByItself = { timeout: 20_000 }

it('a page that was opened during an outage is there by itself when the database is back', async () => {
  const page = await as('petra')
  line.refuse()
  await page.getByRole('link', { name: 'Mandates' }).click()
  await page.getByText('The database cannot be asked at the moment').waitFor()
  await keepPicture(page, 'recovery-error')
  line.heal()
  await page.getByRole('link', { name: 'Globex' }).waitFor(comesByItself)
  expect(await page.getByText('The database cannot be asked at the moment').count()).toBe(0)
}, 60_000)

it('keeps what was on the page before an outage, marks it as out of date, and loses no edits', async () => {
  const page = await as('petra')
  await page.goto(`${gateway.url}/console/all-roles/${roles.crmReader}`)
  await page.getByLabel('update on RESOURCE crm').selectOption('own')
  line.refuse()
  await page.evaluate(`(() => {
    const { now } = Date
    Date.now = () => now() + 60_000 // what was loaded is old by now
    document.dispatchEvent(new Event('visibilitychange')); window.dispatchEvent(new Event('visibilitychange'))
  })()`)
  await page.getByText('Not up to date').waitFor()
  await page.getByText('1 change, not saved').waitFor()
  await keepPicture(page, 'recovery-stale')
  line.heal()
  await page.getByText('Not up to date').waitFor({ state: 'detached', ...comesByItself })
  await page.getByText('1 change, not saved').waitFor()
  expect(await page.getByLabel('update on RESOURCE crm').inputValue()).toBe('m')
}, 60_000)

it('a console that is loaded during an outage says so, and opens by itself when the database is back', async () => {
  const page = await as('petra')
  line.refuse()
  await page.reload()
  await page.getByText('The database cannot be asked at the moment').waitFor()
  line.heal()
  await page.getByRole('heading', { name: /^Hello/ }).waitFor(comesByItself)
}, 60_000)

it('the overview says when its figures are out of date, and goes on by itself', async () => {
  const page = await as('root')
  await page.getByRole('link', { name: 'Overview' }).click()
  await page.getByText('Decisions a second').waitFor()
  await page.locator('.chart-empty').first().waitFor({ state: 'detached' })
  line.refuse()
  await page.getByText('Not up to date').waitFor(comesByItself)
  line.heal()
  await page.getByText('Not up to date').waitFor({ state: 'detached', ...comesByItself })
}, 60_000)
