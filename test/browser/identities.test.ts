import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { openBrowser, signIn } from '../support/chromium.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let browser: Browser
beforeAll(async () => {
  const provider = { GOOGLE_CLIENT_ID: 'console', GOOGLE_CLIENT_SECRET: 'never-asked' }
  ;[gateway, browser] = await Promise.all([startTestGateway({ environment: provider }), openBrowser()])
}, 60_000)
afterAll(async () => {
  await browser.close()
  await gateway.stop()
})

it('who must prove that it is them before they link an account is asked for the password, which is sent with the link', async () => {
  const page = await signIn(await browser.newContext({ locale: 'en-GB', viewport: { width: 1360, height: 850 } }), gateway.url, 'alice')
  const sent: unknown[] = []
  await page.route('**/auth/identities', async (route) => {
    if (route.request().method() !== 'POST') { await route.continue(); return; }
    sent.push(route.request().postDataJSON())
    const problem = { status: 401, code: 'credentials_invalid', detail: 'Linking an identity needs proof that it is you', requestId: 'of-the-test' } // as for a session that is not young
    await route.fulfill(sent.length === 1
      ? { status: 401, contentType: 'application/problem+json', body: JSON.stringify(problem) }
      : { status: 200, contentType: 'application/json', body: JSON.stringify({ authorizationUrl: `${gateway.url}/console/account#linked` }) })
  })
  await page.getByRole('link', { name: 'My sessions' }).click()
  await page.getByRole('button', { name: 'Link Google' }).click()
  await page.getByRole('dialog').getByLabel('Current password').fill('demo-password-1')
  await page.getByRole('dialog').getByRole('button', { name: 'Link Google' }).click()
  await page.waitForURL(/#linked$/)
  expect(sent).toEqual([{ authority: 'google', next: '/console/account' }, { authority: 'google', next: '/console/account', currentPassword: 'demo-password-1' }])
}, 60_000)
