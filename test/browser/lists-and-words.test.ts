import { describe, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { sendRequest } from '../support/http-client.js'
import { useConsole } from '../support/console.js'
import { mandates, roles, tokenFor, users, type DemoUser } from '../support/demo.js'
import { accessibilityFaults } from '../support/open-page.js'
import { keepPicture } from '../support/pictures.js'
import { until } from '../support/until.js'

const site = useConsole()
const { as } = site

async function inGerman(user: DemoUser): Promise<Page> {
  const page = await as(user)
  await page.evaluate(`localStorage.setItem('mandate-gateway.language', 'de')`)
  await page.reload()
  await page.getByText('Ihre Mandate').waitFor()
  return page
}

describe('lists', () => {
  it.each([
    ['Users', 'User', 'a', 'alice'],
    ['Mandates', 'Slug', 'g', 'Globex'],
  ])(
    '%s can be searched when they are sorted, and sorted when they are searched',
    async (list, column, search, found) => {
      const page = await as('petra')
      await page.getByRole('link', { name: list, exact: true }).click()
      await page.getByRole('link', { name: found }).waitFor()
      await page.getByRole('button', { name: column, exact: true }).click()
      await page.getByRole('button', { name: column, exact: true }).click()
      await page.locator('th[aria-sort=descending]').waitFor()
      await page.getByRole('searchbox').fill(search)
      await page.getByText(/^All \d+ shown$/).waitFor()
      await until(
        async () =>
          (await page
            .locator('.list tbody tr')
            .filter({ hasText: /petra|Initech/ })
            .count()) === 0 || undefined,
      )
      await page.getByRole('link', { name: found }).waitFor()
      expect(await page.getByRole('alert').count()).toBe(0)
      const names = (await page.locator('.list tbody tr td:first-child a').allInnerTexts()).map((name) =>
        name.toLowerCase(),
      )
      expect(names).toEqual([...names].sort().reverse())
    },
    60_000,
  )

  it('a list that cannot be loaded keeps its search and its filters', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Users' }).click()
    await page.getByRole('link', { name: 'alice' }).waitFor()
    await page.route('**/admin/users?*q=*', (route) =>
      route.fulfill({
        status: 400,
        contentType: 'application/problem+json',
        body: JSON.stringify({
          status: 400,
          code: 'validation_failed',
          detail: 'The query is not valid',
          requestId: 'x',
        }),
      }),
    )
    await page.getByRole('searchbox').fill('zo')
    await page.getByText('This could not be loaded').waitFor()
    await page.getByRole('searchbox').fill('')
    await page.getByRole('link', { name: 'alice' }).waitFor()
  }, 60_000)
})

describe('what is not possible', () => {
  it('is said in German on a German page, with the field and without the gateway’s English', async () => {
    const page = await inGerman('petra')
    await page.getByRole('link', { name: 'Benutzer', exact: true }).click()
    await page.getByRole('button', { name: 'Neuer Benutzer' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Benutzername').fill('Has Blank')
    await dialog.getByRole('button', { name: 'Anlegen' }).click()
    await dialog.getByText('Eine Angabe ist nicht gültig').waitFor()
    const said = await dialog.getByRole('alert').innerText()
    expect(said).toMatch(/Benutzername darf|Benutzername muss/)
    expect(said).not.toMatch(/\b(must|not valid|username)\b/)
    await keepPicture(page, 'words-german')
    await dialog.getByLabel('Benutzername').fill('bob')
    await dialog.getByRole('button', { name: 'Anlegen' }).click()
    await dialog.getByText('Das gibt es schon').waitFor()
    expect(await dialog.getByRole('alert').innerText()).not.toMatch(/contradicts|stored/)
  }, 60_000)

  it('names what is wrong when somebody is added who is not there', async () => {
    const page = await as('alice')
    await page.getByRole('link', { name: 'Members' }).click()
    await page.getByRole('button', { name: 'Add member' }).click()
    await page.getByRole('dialog').getByLabel('Username').fill('nobody-at-all')
    await page.getByRole('dialog').getByRole('button', { name: 'Add member' }).click()
    await page.getByText('There is nothing here by this name or id').waitFor()
  }, 60_000)

  it('a page that somebody cannot see in the mandate they switch to says so, and leads home', async () => {
    const page = await as('alice')
    await page.getByRole('link', { name: 'Members' }).click()
    await page.getByRole('button', { name: 'Switch mandate: Acme' }).click()
    await page.getByRole('menuitem', { name: 'Globex' }).click()
    await page.getByText('You cannot see this page in Globex').waitFor()
    expect(await accessibilityFaults(page, ['color-contrast'])).toEqual([])
    await keepPicture(page, 'words-elsewhere')
    await page.locator('main').getByRole('link', { name: 'Home' }).click()
    await page.getByRole('heading', { name: /^Hello/ }).waitFor()
  }, 60_000)
})

describe('explain', () => {
  const question = (address: string) => `${site.gateway.url}/console/${address}`

  it('shows a platform admin how to help one person first, and a global role last, with its reach', async () => {
    const { token } = await tokenFor(site.gateway.database, 'petra')
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
    const put = await sendRequest(site.gateway.url, `/admin/mandates/${mandates.acme}/members/${users.bob}`, {
      method: 'PATCH',
      headers,
      body: JSON.stringify({ roleIds: [roles.viewer] }),
    })
    expect(put.status).toBe(200)
    const page = await as('petra')
    await page.goto(
      question(`all-explain?user=bob&mandate=${mandates.acme}&context=RESOURCE&item=crm&action=update`),
    )
    await page.getByText('bob may not').waitFor()
    await page.getByText(/That changes what \d+ people may do in \d+ mandates/).waitFor()
    const cures = await page.locator('.cures li').allInnerTexts()
    expect(cures[0]).toMatch(/^Give bob a role of this mandate/)
    expect(cures.at(-1)).toMatch(/^Only if everybody who holds the global role viewer is meant/)
    expect(cures.filter((cure) => cure.includes('global role'))).toHaveLength(1)
    await keepPicture(page, 'words-explain')
    await page.locator('.cures li').first().getByRole('link').click()
    await page.getByRole('cell', { name: /^bob/ }).waitFor() // the members, searched for bob
    expect(await page.getByRole('searchbox').inputValue()).toBe('bob')
  }, 60_000)
})

describe('the overview', () => {
  it('counts as granted what was granted, and nothing else', async () => {
    const page = await as('root')
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.locator('.chart-empty').first().waitFor({ state: 'detached' })
    const done = new AbortController()
    const refused = async () =>
      await fetch(`${site.gateway.url}/auth/me`).then((answer) => answer.arrayBuffer())
    const working = (async () => {
      while (!done.signal.aborted) await Promise.all(Array.from({ length: 20 }, refused))
    })()
    try {
      const shown = async (of: string) =>
        Number(
          new RegExp(`([\\d.,]+)\\s*${of}`)
            .exec(await page.locator('main').innerText())?.[1]
            ?.replaceAll(',', '') ?? 0,
        )
      await until(async () => (await shown('refused')) > 40 || undefined, 30_000)
      // what this page asks for itself, and none of what was refused
      expect(await shown('granted')).toBeLessThan(20)
    } finally {
      done.abort()
      await working
    }
  }, 90_000)
})

describe('people and features', () => {
  it('a feature is made in the console, and an instance of it', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Features' }).click()
    await page.getByRole('button', { name: 'New feature' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Code').fill('billing')
    await dialog.getByLabel('Label').fill('Invoices')
    await dialog.getByRole('button', { name: 'Create' }).click()
    await page.getByText('Invoices is created').waitFor()
    await keepPicture(page, 'features')
    await page.locator('.frame > .side a[href="/console/all-instances"]').click()
    await page.getByRole('button', { name: 'New instance' }).click()
    await dialog.getByLabel('Label').fill('Invoices of Acme')
    await dialog.getByLabel('Feature').click()
    await page.getByRole('option', { name: 'Invoices' }).click()
    await dialog.getByLabel('Mandate').click()
    await page.getByRole('option', { name: 'Acme' }).click()
    await dialog.getByRole('button', { name: 'Create' }).click()
    await page.getByText('Invoices of Acme is created').waitFor()
  }, 60_000)

  it('somebody who forgot their password or lost their link gets another one, which is not closed away', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Users' }).click()
    await page.getByRole('button', { name: 'Actions for frank', exact: true }).click()
    await page.getByRole('menuitem', { name: 'New link to set a password' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Make link' }).click()
    const url = (await page.getByRole('dialog').locator('pre').innerText()).trim()
    await keepPicture(page, 'first-access')
    await page.keyboard.press('Escape')
    await page.mouse.click(5, 5)
    expect(await page.getByRole('dialog').locator('pre').innerText()).toContain(url)
    await page.getByRole('button', { name: 'I have copied it' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    const set = await sendRequest(url, new URL(url).pathname, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ password: 'another-password-2' }),
    })
    expect(set.status).toBe(204)
    const login = await sendRequest(site.gateway.url, '/auth/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username: 'frank', password: 'another-password-2' }),
    })
    expect(login.status).toBe(200)
  }, 60_000)

  it('a link for somebody new is not closed away either', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Users' }).click()
    await page.getByRole('button', { name: 'New user' }).click()
    await page.getByRole('dialog').getByLabel('Username').fill('newcomer')
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click()
    await page.getByRole('dialog').locator('pre').waitFor()
    await page.keyboard.press('Escape')
    expect(await page.getByRole('dialog').locator('pre').innerText()).toContain('/auth/first-access/')
  }, 60_000)

  it('makes a key only on request, and does not offer to retire the key that signs access tokens', async () => {
    const page = await as('root')
    await page.getByRole('link', { name: 'Keys' }).click()
    const before = (await site.gateway.database.sql('select 1 from identity_keys')).length
    await page.getByRole('button', { name: 'New identity key' }).click()
    await page.getByText('Make a new identity key?').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect((await site.gateway.database.sql('select 1 from identity_keys')).length).toBe(before)
    const signing = page
      .locator('.list tbody tr')
      .filter({ hasText: 'Access tokens' })
      .filter({ hasText: 'signing' })
    await signing.waitFor()
    expect(await signing.getByRole('button').count()).toBe(0)
  }, 60_000)
})
