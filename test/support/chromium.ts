import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import type { DemoUser } from './demo.js'

/** Debian's chromium; the tests run as root in containers, where its own sandbox cannot. */
export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })

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
