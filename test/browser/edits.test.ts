import { describe, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { sendRequest } from '../support/http-client.js'
import { useConsole } from '../support/console.js'
import { instances, mandates, roles, tokenFor, users, type DemoUser } from '../support/demo.js'
import { keepPicture } from '../support/pictures.js'

const site = useConsole()
const { as } = site

/** Somebody else, who changes something meanwhile by the API. */
async function meanwhile(
  user: DemoUser,
  method: string,
  path: string,
  body: object,
): Promise<Record<string, unknown>> {
  const { token } = await tokenFor(site.gateway.database, user)
  const answer = await sendRequest(site.gateway.url, path, {
    method,
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      'X-Mandate-Id': mandates.acme,
    },
    body: JSON.stringify(body),
  })
  expect([path, answer.status]).toEqual([path, method === 'POST' ? 201 : 200])
  return JSON.parse(answer.text) as Record<string, unknown>
}

const roleIdsOf = async (userId: string) =>
  (
    await site.gateway.database.sql<{ role_id: string }>(
      `select r.role_id
        from user_mandate_roles r
        join user_mandates m on m.id = r.user_mandate_id
        where m.user_id = $1 and m.mandate_id = $2
        order by 1`,
      [userId, mandates.acme],
    )
  ).map(({ role_id: id }) => id)

const openActions = async (page: Page, name: string, entry: string) => {
  await page.getByRole('button', { name: `Actions for ${name}` }).click()
  await page.getByRole('menuitem', { name: entry, exact: true }).click()
}

describe('an edit in the console does not undo what somebody else has saved meanwhile', () => {
  it('a role that was revoked while a dialog was open does not come back, and both changes are kept', async () => {
    const made = await meanwhile('petra', 'POST', '/admin/roles', {
      label: 'finance',
      mandateId: mandates.acme,
    })
    await meanwhile('petra', 'PATCH', `/admin/mandates/${mandates.acme}/members/${users.bob}`, {
      roleIds: [roles.acmeAdmin, roles.viewer],
    })
    const page = await as('alice')
    await page.getByRole('link', { name: 'Members' }).click()
    await openActions(page, 'bob', 'Change roles')
    await meanwhile('petra', 'PATCH', `/admin/mandates/${mandates.acme}/members/${users.bob}`, {
      roleIds: [roles.viewer],
    })
    await page.getByRole('dialog').getByLabel('Roles', { exact: true }).fill('finance')
    await page.getByRole('option', { name: 'finance' }).click()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').getByRole('button', { name: 'Preview' }).click()
    await page.getByText('Somebody else changed this meanwhile').waitFor()
    await page.getByRole('dialog').getByText('acme-admin').waitFor() // what it was, and what it is
    await keepPicture(page, 'edits-changed')
    expect(await page.getByRole('dialog').getByRole('button', { name: 'Save' }).count()).toBe(0)

    await page.getByRole('dialog').getByRole('button', { name: 'Go on with the new state' }).click()
    await page.getByText('This is the new state, with your changes on top').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Preview' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
    await page.getByText('The roles of bob are saved').waitFor()
    expect(await roleIdsOf(users.bob)).toEqual([roles.viewer, String(made.id)].sort())
  }, 60_000)

  it('a form takes over what was saved under what is filled in', async () => {
    const page = await as('petra')
    await page.goto(`${site.gateway.url}/console/users/${users.dave}`)
    await page.getByRole('button', { name: 'Edit', exact: true }).click()
    await page.getByLabel('Full name').fill('Dave the Second')
    await meanwhile('petra', 'PATCH', `/admin/users/${users.dave}`, { email: 'second@example.com' })
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
    await page.getByRole('dialog').getByText('second@example.com').waitFor()
    await page.getByRole('button', { name: 'Go on with the new state' }).click()
    expect(await page.getByRole('dialog').getByLabel('Email').inputValue()).toBe('second@example.com')
    expect(await page.getByLabel('Full name').inputValue()).toBe('Dave the Second')
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
    await page.getByText('dave is saved').waitFor()
    const [saved] = await site.gateway.database.sql(
      'select full_name as "fullName", email from users where id = $1',
      [users.dave],
    )
    expect(saved).toEqual({ fullName: 'Dave the Second', email: 'second@example.com' })
  }, 60_000)

  it('a rule keeps what somebody else allowed on it, and what is being edited stays', async () => {
    const page = await as('petra')
    const [rule] = await site.gateway.database.sql<{ id: string }>(
      `select id from access_rules where role_id = $1 and context = 'RESOURCE' and item = 'crm'`,
      [roles.crmReader],
    )
    await page.goto(`${site.gateway.url}/console/all-roles/${roles.crmReader}`)
    await page.getByLabel('update on RESOURCE crm').selectOption('own')
    await meanwhile('petra', 'PATCH', `/admin/rules/${rule!.id}`, { create: 'g' })
    await page.getByRole('button', { name: 'Preview' }).click()
    await page.getByText('Somebody else changed this meanwhile').waitFor()
    await page.getByRole('button', { name: 'Go on with the new state' }).click()
    await page.getByText('This is the new state, with your changes on top').waitFor()
    expect(await page.getByLabel('create on RESOURCE crm').inputValue()).toBe('g')
    await page.getByText('1 change, not saved').waitFor()
    await page.getByRole('button', { name: 'Preview' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
    await page.getByText('change, not saved').waitFor({ state: 'detached' })
    expect(
      await site.gateway.database.sql('select "create", "update" from access_rules where id = $1', [
        rule!.id,
      ]),
    ).toEqual([{ create: 'g', update: 'm' }])
  }, 60_000)

  it('what was changed since it was listed is not disabled or deleted unseen, and can be after a look', async () => {
    const page = await as('petra')
    await page.goto(`${site.gateway.url}/console/all-instances/${instances.acmeArchive}`)
    await page.getByRole('button', { name: 'Delete' }).waitFor()
    await meanwhile('petra', 'PATCH', `/admin/instances/${instances.acmeArchive}`, { label: 'Of the court' })
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByText('Of the court').waitFor()
    expect(await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).count()).toBe(0)
    await page.getByRole('button', { name: 'Go on with the new state' }).click()
    await page.getByRole('dialog').getByText('Delete Of the court?').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByText('Of the court is deleted').waitFor()
  }, 60_000)
})
