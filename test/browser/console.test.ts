import { describe, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { useConsole } from '../support/console.js'
import { instances, mandates, roles, tokenFor, users } from '../support/demo.js'

const site = useConsole()
const { as } = site

const linksOf = (page: Page) => page.locator('.frame > .side nav a').allInnerTexts()

describe('each sees what they may', () => {
  const personal = ['Home', 'My sessions']

  it('alice, who administers acme, its members, roles and instances', async () => {
    const page = await as('alice')
    await page.getByRole('link', { name: 'Members' }).waitFor()
    expect(await linksOf(page)).toEqual(
      expect.arrayContaining([...personal, 'Members', 'Roles', 'Instances']),
    )
    expect(await linksOf(page)).not.toEqual(expect.arrayContaining(['Users']))
    await page.getByRole('link', { name: 'Members' }).click()
    await page.getByRole('cell', { name: /^bob/ }).waitFor()
  })

  it('petra users and mandates of the platform, and nothing of a mandate or the system', async () => {
    const page = await as('petra')
    const links = await linksOf(page)
    expect(links).toEqual(expect.arrayContaining([...personal, 'Users', 'Mandates']))
    for (const hidden of ['Members', 'Nodes', 'Log']) expect(links).not.toContain(hidden)
    await page.getByRole('link', { name: 'Users' }).click()
    await page.getByRole('link', { name: 'alice' }).waitFor()
  })

  it('root the system, and no users', async () => {
    const page = await as('root')
    const links = await linksOf(page)
    expect(links).toEqual(expect.arrayContaining([...personal, 'Nodes', 'Log', 'Database']))
    for (const hidden of ['Users', 'Members']) expect(links).not.toContain(hidden)
    await page.getByRole('link', { name: 'Nodes' }).click()
    await page.getByText('answered this').waitFor()
  })

  it('erin, a member of nothing, is told what to do about it', async () => {
    const page = await as('erin')
    expect(await linksOf(page)).toEqual(personal)
    await page.getByText('You are not a member of any mandate yet').waitFor()
  })

  it('a page that somebody may not see is none to them', async () => {
    const page = await as('erin')
    await page.goto(`${site.gateway.url}/console/users`)
    await page.getByText('There is no such page').waitFor()
  })
})

it('two tabs work in two mandates at once', async () => {
  const acme = await as('alice')
  const globex = await acme.context().newPage()
  await globex.goto(`${site.gateway.url}/console`)
  await globex
    .getByRole('article')
    .filter({ hasText: 'Globex' })
    .getByRole('button', { name: 'Work here' })
    .click()
  await globex.getByRole('button', { name: 'Switch mandate: Globex' }).waitFor()
  expect(await linksOf(globex)).not.toContain('Members') // there she only looks
  await Promise.all([acme.reload(), globex.reload()])
  await acme.getByRole('button', { name: 'Switch mandate: Acme' }).waitFor()
  await globex.getByRole('button', { name: 'Switch mandate: Globex' }).waitFor()
  await acme.getByRole('link', { name: 'Members' }).waitFor()
})

it('a rule that is taken back is previewed first, and ends a running request of those who hold the role', async () => {
  const { token } = await tokenFor(site.gateway.database, 'bob')
  const headers = {
    Authorization: `Bearer ${token}`,
    'X-Mandate-Id': mandates.acme,
    'X-Instance-Id': instances.acmeCrm,
  }
  const stream = await fetch(`${site.gateway.url}/api/crm/events`, { headers })
  expect(stream.status).toBe(200)
  const ended = stream.text().then(
    () => 'ended',
    () => 'cut',
  )

  const page = await as('alice')
  await page.goto(`${site.gateway.url}/console/roles/${roles.crmReader}`)
  await page.getByLabel('read on RESOURCE crm').selectOption('none')
  await page.getByText('1 change, not saved').waitFor()
  await page.getByRole('button', { name: 'Preview' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('bob').first().waitFor() // whom it would change
  // and has not yet
  expect((await fetch(`${site.gateway.url}/api/crm/contacts`, { headers })).status).toBe(200)
  await dialog.getByRole('button', { name: 'Save' }).click()
  await page.getByText(/1 node acknowledged in/).waitFor()

  expect(await ended).toMatch(/ended|cut/)
  expect((await fetch(`${site.gateway.url}/api/crm/contacts`, { headers })).status).toBe(403)
})

it('a session that is revoked ends in the other browser', async () => {
  const bob = await as('bob')
  const petra = await as('petra')
  await petra.goto(`${site.gateway.url}/console/users/${users.bob}`)
  await petra
    .getByRole('button', { name: /^Actions for/ })
    .first()
    .click()
  await petra.getByRole('menuitem', { name: 'End session' }).click()
  await petra.getByRole('dialog').getByRole('button', { name: 'End session' }).click()
  await petra.getByText(/1 node acknowledged in/).waitFor()
  await bob.getByRole('link', { name: 'My sessions' }).click()
  await bob.getByText('Your session has ended').waitFor()
})

describe('languages and looks', () => {
  it('German and dark are chosen in the menu, and stay', async () => {
    const page = await as('alice')
    await page.getByRole('button', { name: 'Account of Alice Ackermann' }).last().click()
    await page.getByRole('menuitem', { name: 'Dark' }).click()
    await page.getByRole('button', { name: 'Account of Alice Ackermann' }).last().click()
    await page.getByRole('menuitem', { name: 'Deutsch' }).click()
    await page.getByText('Ihre Mandate').waitFor()
    await page.reload()
    await page.getByText('Ihre Mandate').waitFor()
    expect(await page.locator('html').getAttribute('data-mantine-color-scheme')).toBe('dark')
    expect(await page.locator('html').getAttribute('lang')).toBe('de')
  })
})
