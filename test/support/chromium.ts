import { mkdtemp, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
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

interface AxeResults { violations: { id: string; impact: string | null; nodes: { html: string; failureSummary?: string }[] }[] }

const axeSource = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds on the page that somebody could stumble over: serious and critical faults, each with the elements. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(await axeSource) // by the debugger, past the page's own policy
  const { violations } = await page.evaluate(`axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })`) as AxeResults
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary = '' }) => `${page.url()} ${id}: ${html.slice(0, 200)} ${failureSummary}`))
}

let folder: Promise<string> | undefined

/** Keeps a picture of the page for people to look at: below SCREENSHOTS, else in a temporary folder. */
export async function picture(page: Page, name: string): Promise<void> {
  folder ??= process.env.SCREENSHOTS ? Promise.resolve(process.env.SCREENSHOTS) : mkdtemp(path.join(tmpdir(), 'console-'))
  await page.screenshot({ path: path.join(await folder, `${name}.png`) })
}
