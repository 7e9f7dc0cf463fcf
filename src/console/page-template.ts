import { randomBytes } from 'node:crypto'
import type { Config } from '../config.js'
import { providerSettings, type ProviderSettings } from '../domain/provider-settings.js'
import type { Language } from '../domain/languages.js'

/** What the pages are told of this gateway before anybody has signed in. */
interface Settings {
  /** The sign-in providers that are configured. */
  providers: Pick<ProviderSettings, 'authority' | 'id' | 'label' | 'path'>[]
  /** Whether the demo users are there, whose password everybody knows. */
  demo: boolean
}

/** What the pages say in place of what was shipped, by language and key. */
export type ChangedTexts = Readonly<Record<Language, Readonly<Record<string, string>>>>

/** Returns the settings of a configuration. */
export const settingsOf = (config: Config): Settings => ({
  providers: providerSettings(config).map(({ authority, id, label, path }) => ({
    authority,
    id,
    label,
    path,
  })),
  demo: config.SEED_DEMO,
})

/**
 * Scripts, styles and answers of this gateway alone; of styles also those that carry the page's nonce, which
 * the component library inserts.
 */
const policyWith = (nonce: string) =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ')

/**
 * A page as it is sent: its nonce, settings and changed texts where the build left their places, and the
 * headers that go with it.
 */
export function fillPage(
  page: string,
  settings: Settings & { texts: ChangedTexts },
): { content: string; headers: Record<string, string> } {
  const nonce = randomBytes(16).toString('base64')
  const written = JSON.stringify(settings)
    .replaceAll('&', '&amp;')
    .replaceAll('"', '&quot;')
    .replaceAll('<', '&lt;')
  return {
    content: page.replace('__NONCE__', nonce).replace('__SETTINGS__', () => written),
    headers: {
      'Content-Security-Policy': policyWith(nonce),
      'Referrer-Policy': 'same-origin',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    },
  }
}
