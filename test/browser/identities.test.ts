import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { useConsole } from '../support/console.js'
import { users } from '../support/demo.js'
import { client, startOpenIdProvider, type OpenIdProvider } from '../support/openid-provider.js'

const provider: OpenIdProvider = await startOpenIdProvider()
const site = useConsole({
  gateway: {
    environment: {
      GOOGLE_CLIENT_ID: client.id,
      GOOGLE_CLIENT_SECRET: client.secret,
      GOOGLE_ISSUER: provider.issuer,
    },
  },
})
beforeAll(() => {
  provider.register(`${site.gateway.url}/auth/google/callback`)
})
afterAll(() => provider.stop())

it('a person who must confirm their password before linking an account is asked, and then linked', async () => {
  provider.signsIn('alice-at-google')
  const page = await site.as('alice')
  await site.gateway.database.sql(
    `update sessions set auth_time = now() - interval '11 minutes' where user_id = $1`,
    [users.alice],
  )
  await page.getByRole('link', { name: 'My sessions' }).click()
  await page.getByRole('button', { name: 'Link Google' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Current password').fill('another-password')
  await dialog.getByRole('button', { name: 'Link Google' }).click()
  await dialog.getByRole('alert').waitFor()
  expect(provider.requests).not.toContain('/auth') // nobody went there yet
  await dialog.getByLabel('Current password').fill('demo-password-1')
  await dialog.getByRole('button', { name: 'Link Google' }).click()
  await page.getByRole('cell', { name: 'Google alice-at-google@example.com', exact: true }).waitFor()
  expect(page.url()).toBe(`${site.gateway.url}/console/account`)
  expect(
    await site.gateway.database.sql('select subject from user_identities where user_id = $1', [users.alice]),
  ).toEqual([{ subject: 'alice-at-google' }])
}, 60_000)
