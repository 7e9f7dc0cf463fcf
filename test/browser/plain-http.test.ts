import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { mandates } from '../support/demo.js'
import { openBrowser } from '../support/chromium.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { looks, openPage } from '../support/open-page.js'
import { insertClientWithLink } from '../support/portal.js'

/**
 * A host that browsers come to by http, and that is not this machine: they say nothing of the site that a
 * request comes from but its `Origin`.
 */
const publicUrl = 'http://gateway.example'

let gateway: TestGateway
let browser: Browser
beforeAll(async () => {
  gateway = await startTestGateway({ environment: { PUBLIC_URL: publicUrl } })
  browser = await openBrowser({ 'gateway.example:80': new URL(gateway.url).host })
})
afterAll(async () => {
  await browser.close()
  await gateway.stop()
})

it('accepts its own forms over plain http, and sends no Referer with the address that holds a secret', async () => {
  const { token } = await insertClientWithLink(gateway.database, mandates.acme)
  const { page, requests } = await openPage(browser, looks.light)
  await page.goto(`${publicUrl}/portal/enter?token=${token}`)
  await page.locator('button').click()
  expect(page.url()).toBe(`${publicUrl}/portal`)
  const [, sent, ...after] = requests
  const headers = await sent!.allHeaders()
  expect([headers.origin, headers['sec-fetch-site']]).toEqual([publicUrl, undefined])
  for (const request of [sent!, ...after])
    expect(JSON.stringify(await request.allHeaders())).not.toContain(token)
})
