import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import type { DemoUser } from './demo.js'

/**
 * Debian's chromium; the tests run as root in containers, where its own sandbox cannot. `hosts` says where
 * names lead: `{ 'a.example:80': '127.0.0.1:8080' }`.
 */
export const openBrowser = (hosts: Record<string, string> = {}): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      ...(Object.keys(hosts).length > 0
        ? [
            `--host-resolver-rules=${Object.entries(hosts)
              .map(([name, place]) => `MAP ${name} ${place}`)
              .join(', ')}`,
          ]
        : []),
    ],
  })

const password = 'demo-password-1'

/** A page of a fresh browser profile that somebody has signed in to, by the form. */
export async function signIn(context: BrowserContext, url: string, user: DemoUser): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${url}/console`)
  await page.getByLabel('Username').fill(user)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('heading', { name: /^Hello/ }).waitFor()
  return page
}
