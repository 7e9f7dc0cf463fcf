import { TOTP } from 'otpauth'
import { expect } from '@jest/globals'
import type { Browser } from './browser.js'
import { makePasskey, type MadePasskey } from './authenticator.js'

/** The body of a response, as it comes. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- bodies are looked at as they come
export const bodyOf = ({ text }: { text: string }): any => JSON.parse(text)

/** Returns the code of an authenticator app, so many steps of 30 s away from now. */
export const codeOf = (secret: string, steps = 0): string =>
  TOTP.generate({ ...parameters, secret: secretOf(secret), timestamp: Date.now() + steps * 30_000 })
const parameters = { algorithm: 'SHA1', digits: 6, period: 30 }
const secretOf = (secret: string) => new TOTP({ secret }).secret

/** Adds an authenticator app to an account whose browser is signed in. Its confirming code is of the step before. */
export async function addTotp(
  browser: Browser,
): Promise<{ id: string; secret: string; recoveryCodes: string[] }> {
  const begun = await browser.send('POST', '/auth/factors/totp', { label: 'phone' })
  expect(begun.status).toBe(201)
  const { id, secret } = bodyOf(begun)
  const confirmed = await browser.send('POST', `/auth/factors/totp/${id}/confirm`, {
    code: codeOf(secret, -1),
  })
  expect(confirmed.status).toBe(200)
  return { id, secret, recoveryCodes: bodyOf(confirmed).recoveryCodes ?? [] }
}

/** Returns the 16 bytes of a user's id, by which a passkey names its owner. */
export const handleOf = (userId: string) =>
  Buffer.from(userId.replaceAll('-', ''), 'hex').toString('base64url')

/** Adds a passkey to an account whose browser is signed in. */
export async function addPasskey(
  browser: Browser,
  site: { url: string; userId: string },
  kind: Parameters<typeof makePasskey>[1] = {},
): Promise<MadePasskey & { factorId: string }> {
  const asked = await browser.send('POST', '/auth/factors/passkeys/options', {})
  expect(asked.status).toBe(200)
  const { challenge, options } = bodyOf(asked)
  const passkey = makePasskey(
    { rpId: options.rp.id, origin: new URL(site.url).origin, userHandle: handleOf(site.userId) },
    kind,
  )
  const added = await browser.send('POST', '/auth/factors/passkeys', {
    label: 'laptop',
    challenge,
    response: passkey.create(options),
  })
  expect(added.status).toBe(201)
  return { ...passkey, factorId: bodyOf(added).id }
}
