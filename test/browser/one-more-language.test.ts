import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import type { Locale } from '../../src/domain/languages.js'
import { sendRequest } from '../support/http-client.js'
import { openBrowser, signIn } from '../support/chromium.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { testSecret } from '../support/gateway.js'
import { cleanUpProcesses, makeDataDir, startGatewayProcess } from '../support/gateway-process.js'
import { copyProject } from '../support/project-copy.js'

/** The English texts with a mark on each, as a translator's first draft. */
function drafted({ console: pages, portal, pages: hosted, reasons, mail }: Locale): Locale {
  const marked = <Texts extends object>(texts: Texts): Texts =>
    JSON.parse(JSON.stringify(texts), (_, text: unknown) =>
      typeof text === 'string' ? `« ${text} »` : text,
    ) as Texts
  return {
    name: 'Français',
    locale: 'fr-FR',
    console: marked(pages),
    portal: marked(portal),
    pages: marked(hosted),
    reasons: marked(reasons),
    mail: marked(mail),
  }
}

let project: string
let database: TestDatabase
let browser: Browser
let url: string
beforeAll(async () => {
  ;[project, database, browser] = await Promise.all([copyProject(), createTestDatabase(), openBrowser()])
  const english = JSON.parse(await readFile(path.join(project, 'locales/en.json'), 'utf8')) as Locale
  await writeFile(path.join(project, 'locales/fr.json'), JSON.stringify(drafted(english)))
  await promisify(execFile)(process.execPath, ['scripts/build.js'], { cwd: project })
  const gateway = startGatewayProcess(
    {
      DATABASE_URL: database.url,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      APP_JWT_KEY_SECRET: testSecret,
      SECRET_KEY: testSecret,
      SEED_DEMO: 'true',
      DATA_DIR: await makeDataDir(),
      GATEWAY_ROUTES: path.join(project, 'routes.yaml'),
    },
    [process.execPath, path.join(project, 'dist/main.js')],
  )
  url = await gateway.url()
}, 120_000)
afterAll(async () => {
  await browser.close()
  await cleanUpProcesses()
  await database.drop()
  await rm(project, { recursive: true, force: true })
})

const french = (path: string) =>
  sendRequest(url, path, { headers: { Accept: 'text/html', 'Accept-Language': 'fr-CH, de;q=0.5' } })

describe('a third language, added as one file, is spoken by', () => {
  it.each(['/portal', '/portal/enter?token=x', '/auth/first-access/none', '/nothing'])(
    'the page %s',
    async (page) => {
      expect((await french(page)).text).toMatch(/<html lang="fr">[^]*« [^]+ »/)
    },
  )

  it('the list of translations, which takes changes of it', async () => {
    const { token } = await tokenFor(database, 'root')
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
    const at = `${url}/system/translations`
    const listed = await fetch(`${at}?language=fr`, { headers })
    const { items } = (await listed.json()) as { items: { key: string; text: string }[] }
    expect(items).toContainEqual(
      expect.objectContaining({ key: 'portal.signOut', language: 'fr', text: '« Sign out »' }),
    )
    const changed = await fetch(`${at}/fr/portal.signOut`, {
      method: 'PUT',
      headers,
      body: JSON.stringify({ text: 'Se déconnecter' }),
    })
    expect([changed.status, await changed.json()]).toEqual([
      200,
      expect.objectContaining({ text: 'Se déconnecter', shipped: '« Sign out »' }),
    ])
    expect((await fetch(`${at}?language=xx`, { headers })).status).toBe(400)
  })

  it('the console, where it is chosen in the menu, with its dates and numbers', async () => {
    const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1360, height: 850 } })
    const page: Page = await signIn(context, url, 'root')
    await page
      .getByRole('button', { name: /^Account of/ })
      .last()
      .click()
    await page.getByRole('menuitem', { name: 'Français' }).click()
    await page.getByText('« Your mandates »').waitFor()
    expect(await page.locator('html').getAttribute('lang')).toBe('fr')
    await page.goto(`${url}/console/translations`)
    await page.getByText('allemand', { exact: true }).waitFor()
    await page.getByText('français', { exact: true }).waitFor()
  })

  it('the console, where the browser prefers it', async () => {
    const context = await browser.newContext({ locale: 'fr-CA' })
    const page = await context.newPage()
    await page.goto(`${url}/console`)
    await page.getByRole('button', { name: '« Sign in »', exact: true }).waitFor()
  })
})
