import { describe, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { useConsole } from '../support/console.js'
import { mandates, roles, users } from '../support/demo.js'
import { accessibilityFaults } from '../support/open-page.js'
import { keepPicture } from '../support/pictures.js'
import { until } from '../support/until.js'

const site = useConsole({ profile: { reducedMotion: 'reduce' } })
const { as } = site

/** Without what axe advises beyond it: a menu in no landmark. */
const wcag = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

/** What has the focus, by its name. */
const focusOf = async (page: Page) => {
  await until(
    async () => (await page.evaluate<boolean>('document.activeElement !== document.body')) || undefined,
  )
  return await page.evaluate<string>(
    'document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent',
  )
}

const rowMenu = (page: Page, name: string) =>
  page.getByRole('button', { name: `Actions for ${name}`, exact: true })

/** Opens a row's menu with the keyboard, and chooses an entry. */
async function chooseByKeyboard(page: Page, name: string, entry: string): Promise<void> {
  await rowMenu(page, name).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('menuitem', { name: entry }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
}

const isEnabled = async (id: string) =>
  (
    await site.gateway.database.sql<{ enabled: boolean }>('select enabled from mandates where id = $1', [id])
  )[0]?.enabled

describe('dialogs', () => {
  it('what destroys is not what Enter does: the dialog opens with the focus on Cancel', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Mandates' }).click()
    await chooseByKeyboard(page, 'Globex', 'Disable')
    await until(
      async () =>
        (await page.evaluate<string>('document.activeElement.textContent')) === 'Cancel' || undefined,
    )
    await page
      .getByRole('dialog')
      .getByRole('button', { name: 'Disable' })
      .and(page.locator(':enabled'))
      .waitFor()
    const before = await isEnabled(mandates.globex)
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await isEnabled(mandates.globex)).toBe(before)
  }, 60_000)

  it('nothing is confirmed before what it would change is known', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Mandates' }).click()
    let answer: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      answer = resolve
    })
    await page.route('**/admin/mandates/*?dryRun=1', async (route) => {
      await held
      await route.continue()
    })
    await rowMenu(page, 'Globex').click()
    await page.getByRole('menuitem', { name: 'Disable' }).click()
    const confirm = page.getByRole('dialog').getByRole('button', { name: 'Disable' })
    await page.getByText('Trying it out, without doing it').waitFor()
    expect(await confirm.isDisabled()).toBe(true)
    answer()
    await confirm.and(page.locator(':enabled')).waitFor()
  }, 60_000)

  it('a mandate is deleted only by somebody who types its slug', async () => {
    await site.gateway.database.sql(`insert into mandates (slug, label) values ('to-be-gone', 'To be gone')`)
    const page = await as('petra')
    await page.getByRole('link', { name: 'Mandates' }).click()
    await rowMenu(page, 'To be gone').click()
    await page.getByRole('menuitem', { name: 'Delete' }).click()
    const confirm = page.getByRole('dialog').getByRole('button', { name: 'Delete' })
    await page.getByText('What this changes').waitFor()
    expect(await confirm.isDisabled()).toBe(true)
    await keepPicture(page, 'dialogs-typed')
    await page.getByLabel('Type to-be-gone to confirm').fill('to-be-gone')
    await confirm.click()
    await page.getByText('To be gone is deleted').waitFor()
    await page.locator('#content:focus').waitFor() // the row's menu is gone: the page has the focus, two frames later
  }, 60_000)

  it('when a dialog closes, the focus is back where it was opened', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Mandates' }).click()
    await chooseByKeyboard(page, 'Globex', 'Disable')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focusOf(page)).toBe('Actions for Globex')
    await chooseByKeyboard(page, 'Globex', 'Disable')
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click()
    await page.getByText('Globex is disabled').waitFor()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focusOf(page)).toBe('Actions for Globex')
    await page.getByRole('button', { name: 'New mandate' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focusOf(page)).toBe('New mandate')
  }, 60_000)

  it('an open menu and an open dialog are accessible, in light and dark', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Users' }).click()
    const faults: string[] = []
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme })
      await rowMenu(page, 'bob').click()
      await page.getByRole('menuitem', { name: 'Delete' }).waitFor()
      faults.push(...(await accessibilityFaults(page, wcag)).map((fault) => `${scheme} menu: ${fault}`))
      await keepPicture(page, `dialogs-menu-${scheme}`)
      await page.getByRole('menuitem', { name: 'Delete' }).click()
      await page.getByText('What this changes').waitFor()
      faults.push(...(await accessibilityFaults(page)).map((fault) => `${scheme} dialog: ${fault}`))
      await keepPicture(page, `dialogs-confirm-${scheme}`)
      await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
      await page.getByRole('dialog').waitFor({ state: 'detached' })
    }
    expect(faults).toEqual([])
  }, 60_000)

  it('what darkens the page behind a dialog reaches its edge', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Mandates' }).click()
    await page.getByRole('button', { name: 'New mandate' }).click()
    await page.getByRole('dialog').waitFor()
    expect(
      await page.evaluate(`document.querySelector('.mantine-Modal-overlay').getBoundingClientRect().width`),
    ).toBe(1360)
  }, 60_000)
})

describe('what is not saved', () => {
  const changeARule = async (page: Page) => {
    await page.locator('.frame > .side a[href="/console/all-roles"]').click()
    await page.getByRole('link', { name: 'crm-reader' }).click()
    await page.getByLabel('update on RESOURCE crm').selectOption('own')
    await page.getByText('1 change, not saved').waitFor()
  }
  const stays = async (page: Page) => {
    await page.getByText('Leave without saving?').waitFor()
    await page.getByRole('button', { name: 'Stay here' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(new URL(page.url()).pathname).toBe(`/console/all-roles/${roles.crmReader}`)
    await page.getByText('1 change, not saved').waitFor()
  }

  it('survives a click on another page, going back and signing out, unless the person confirms', async () => {
    const page = await as('petra')
    await page.getByRole('link', { name: 'Users' }).click()
    await changeARule(page)
    await page.getByRole('link', { name: 'Mandates' }).click()
    await keepPicture(page, 'unsaved')
    await stays(page)
    await page.evaluate('history.back()')
    await stays(page)
    await page
      .getByRole('button', { name: /^Account of/ })
      .last()
      .click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await stays(page)
    await page.getByRole('link', { name: 'Mandates' }).click()
    await page.getByRole('button', { name: 'Leave and lose it' }).click()
    await page.getByRole('heading', { name: 'Mandates' }).waitFor()
    await page.getByRole('link', { name: 'Users' }).click() // and nothing is asked any more
    await page.getByRole('heading', { name: 'Users' }).waitFor()
  }, 60_000)

  it('makes the browser ask before the page is closed or loaded anew', async () => {
    const page = await as('petra')
    await changeARule(page)
    const asked: string[] = []
    page.on('dialog', (dialog) => {
      asked.push(dialog.type())
      void dialog.dismiss()
    })
    await page.close({ runBeforeUnload: true })
    await page.waitForEvent('dialog', { timeout: 5000 }).catch(() => undefined)
    expect(asked).toEqual(['beforeunload'])
    expect(page.isClosed()).toBe(false)
    await page.getByRole('button', { name: 'Discard' }).click()
    const closed = page.waitForEvent('close')
    await page.close({ runBeforeUnload: true })
    await closed
    expect(asked).toEqual(['beforeunload'])
  }, 60_000)

  it('outlives that the same page is loaded anew behind it', async () => {
    const page = await as('petra')
    await changeARule(page)
    const loaded = page.waitForResponse((answer) => answer.url().includes('/admin/rules?'))
    await page.evaluate(`(() => {
      const { now } = Date
      Date.now = () => now() + 60_000 // what was loaded is old by now
      document.dispatchEvent(new Event('visibilitychange'))
      window.dispatchEvent(new Event('visibilitychange'))
      window.dispatchEvent(new Event('focus'))
    })()`)
    await loaded
    await page.getByText('1 change, not saved').waitFor()
    expect(await page.getByLabel('update on RESOURCE crm').inputValue()).toBe('m')
  }, 60_000)

  it('in a dialog is not closed away by Esc or a click beside it', async () => {
    const page = await as('petra')
    await page.goto(`${site.gateway.url}/console/users/${users.carol}`)
    await page.getByRole('button', { name: 'Edit', exact: true }).click()
    await page.getByLabel('Full name').fill('Caroline')
    await page.keyboard.press('Escape')
    await page.getByText('Discard what you have filled in?').waitFor()
    await page.getByRole('button', { name: 'Keep editing' }).click()
    await page.mouse.click(5, 5)
    await page.getByText('Discard what you have filled in?').waitFor()
    await keepPicture(page, 'unsaved-form')
    expect(await page.getByLabel('Full name').inputValue()).toBe('Caroline')
    await page.getByRole('dialog').getByRole('button', { name: 'Discard' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Edit', exact: true }).click()
    await page.keyboard.press('Escape') // nothing was filled in: it just closes
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  }, 60_000)
})
