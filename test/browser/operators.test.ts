import { readFile } from 'node:fs/promises'
import { expect, it } from '@jest/globals'
import { useConsole } from '../support/console.js'
import { instances, mandates, tokenFor } from '../support/demo.js'
import { keepPicture, pictures } from '../support/pictures.js'
import { until } from '../support/until.js'

const site = useConsole({ gateway: { sealing: true } })
const { as } = site

it('who asks why somebody may not is led to the role, changes the rule, and is told that they may', async () => {
  const page = await as('alice')
  const parameters = new URLSearchParams({
    user: 'bob',
    instance: instances.acmeCrm,
    context: 'RESOURCE',
    item: 'crm',
    action: 'create',
  })
  const question = `${site.gateway.url}/console/explain?${parameters.toString()}`
  await page.goto(question)
  await page.getByText('bob may not').waitFor()
  await page.getByText('The rules of their roles').waitFor()
  await page.getByLabel('Answer').getByRole('link', { name: 'crm-reader' }).first().waitFor()
  await keepPicture(page, 'explain')
  await page
    .getByRole('button', { name: 'Open the role' })
    .or(page.getByRole('link', { name: 'Open the role' }))
    .first()
    .click()
  await page.getByLabel('create on RESOURCE crm').selectOption('all')
  await page.getByRole('button', { name: 'Preview' }).click()
  await page.getByRole('dialog').getByText('bob').first().waitFor()
  await keepPicture(page, 'preview')
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await page.getByText('change, not saved').waitFor({ state: 'detached' })
  await page.goto(question)
  await page.getByText('bob may', { exact: true }).waitFor()
}, 60_000)

it('a refused request is explained by its id, and by its method and path', async () => {
  const { token } = await tokenFor(site.gateway.database, 'bob')
  const refused = await fetch(`${site.gateway.url}/mandate/members`, {
    headers: { Authorization: `Bearer ${token}`, 'X-Mandate-Id': '00000000-0000-4000-8000-000000000101' },
  })
  expect(refused.status).toBe(403)
  const { requestId } = (await refused.json()) as { requestId: string }
  const page = await as('alice')
  await page.getByRole('link', { name: 'Explain' }).click()
  await page.getByText('A refused request', { exact: true }).click()
  await page.getByLabel('Request id').fill(requestId)
  await page.getByRole('button', { name: 'Explain', exact: true }).click()
  await page.getByText('bob was refused').waitFor()
  await page.getByRole('button', { name: 'Ask again as of now' }).click()
  await page.getByText('bob may not').waitFor()
}, 60_000)

it('a token that is revoked is no way in when the receipt says which nodes know it', async () => {
  const { token, jti } = await tokenFor(site.gateway.database, 'carol')
  const me = async () =>
    (await fetch(`${site.gateway.url}/auth/me`, { headers: { Authorization: `Bearer ${token}` } })).status
  expect(await me()).toBe(200)
  const page = await as('root')
  await page.getByRole('link', { name: 'Tokens' }).click()
  await page.getByLabel('Name, address or claim jti').fill(jti)
  await page.getByText('All 1 shown').waitFor()
  await page.getByRole('button', { name: /^Actions for carol/ }).click()
  await page.getByRole('menuitem', { name: 'Revoke' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
  await page.getByText(/1 node acknowledged in \d/).waitFor()
  await keepPicture(page, 'receipt')
  expect(await me()).toBe(401)
}, 60_000)

it('a service account gets a secret that is shown once, and gets in by it', async () => {
  const page = await as('petra')
  await page.getByRole('link', { name: 'Service accounts' }).click()
  await page.getByRole('link', { name: 'reports' }).click()
  await page.getByRole('button', { name: 'New secret' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Label').fill('of the test')
  await dialog.getByRole('button', { name: 'Create' }).click()
  await page.getByText('shown this once').waitFor()
  const secret = (await page.getByRole('dialog').locator('pre, code').first().innerText()).trim()
  const answer = await fetch(`${site.gateway.url}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: 'reports',
      client_secret: secret,
    }),
  })
  expect(answer.status).toBe(200)
  await page.keyboard.press('Escape') // does not take it away by accident
  await page.getByText('shown this once').waitFor()
  await page.getByRole('dialog').getByRole('button').last().click()
  await page.getByText('of the test').waitFor()
  expect(await page.content()).not.toContain(secret)
}, 60_000)

it('the audit is filtered, its chain is seen to hold, and what is shown is exported', async () => {
  const page = await as('petra')
  await page.locator('nav a[href="/console/all-audit"]').first().click()
  await until(async () => {
    await page.reload()
    await page.getByRole('heading', { name: 'Audit' }).waitFor()
    return await page
      .getByText('Chain verified')
      .waitFor({ timeout: 2000 })
      .then(
        () => true,
        () => undefined,
      )
  }, 20_000)
  await page.getByRole('combobox', { name: 'Action' }).click()
  await page.getByRole('option', { name: /^Signed in/ }).click()
  await page.locator('.list tbody tr').filter({ hasText: 'Signed in' }).first().waitFor()
  await until(
    async () =>
      (await page.locator('.list tbody tr').filter({ hasNotText: 'Signed in' }).count()) === 0 || undefined,
  )
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export' }).click(),
  ])
  const events = (await readFile(await download.path(), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { action?: string })
  expect(events.length).toBeGreaterThan(0)
  expect(new Set(events.map(({ action }) => action).filter(Boolean)).size).toBe(1)
}, 60_000)

it('the overview shows what a gateway is doing, granted and refused, as it does it', async () => {
  const { token } = await tokenFor(site.gateway.database, 'alice')
  const done = new AbortController()
  const work = async (headers: Record<string, string>, pauseMs: number) => {
    while (!done.signal.aborted) {
      await fetch(`${site.gateway.url}/api/crm/contacts`, { headers }).then((answer) => answer.arrayBuffer())
      await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())))
    }
  }
  const page = await as('root')
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.getByRole('link', { name: 'Overview' }).click()
  const working = [10, 15, 25]
    .map((pauseMs) => work({ Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme }, pauseMs))
    .concat(work({ 'X-Mandate-Id': mandates.acme }, 120))
  try {
    const shown = async (of: string) =>
      Number(new RegExp(`([\\d.]+)\\s*${of}`).exec(await page.locator('main').innerText())?.[1] ?? 0)
    await until(
      async () => ((await shown('granted')) > 10 && (await shown('refused')) > 1) || undefined,
      15_000,
    )
    if (pictures) await new Promise((resolve) => setTimeout(resolve, 60_000)) // a picture wants a longer line
    await keepPicture(page, 'overview')
  } finally {
    done.abort()
    await Promise.all(working)
  }
}, 90_000)

it('a text that is changed is said after a reload, in its language', async () => {
  const page = await as('root')
  await page.getByRole('link', { name: 'Translations' }).click()
  await page.getByRole('combobox', { name: 'Which texts' }).click()
  await page.getByRole('option', { name: 'Console' }).click()
  await page.getByRole('searchbox').fill('nodes')
  await page.getByRole('button', { name: 'nodes', exact: true }).click()
  await page.getByRole('dialog').getByRole('textbox').fill('Machines')
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await page.getByText('The text is changed').waitFor()
  await until(async () => {
    await page.reload()
    return await page
      .getByRole('link', { name: 'Machines' })
      .waitFor({ timeout: 2000 })
      .then(
        () => true,
        () => undefined,
      )
  }, 20_000)
}, 60_000)
