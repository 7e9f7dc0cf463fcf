import type { components } from '../api/schema'

type Identity = components['schemas']['Identity']

/** A sign-in provider. One without an id is named by its authority in the API. */
export interface Provider {
  authority: Identity['authority']
  id: string | null
  label: string
  /** Where its endpoints are. */
  path: string
}

/** The settings that the gateway writes into the page, for visitors who have not signed in, too. */
export interface Settings {
  /** The sign-in providers that are configured. */
  providers: Provider[]
  /** Whether the demo users are there. */
  demo: boolean
  /** Texts that SysAdmins have put in place of the shipped ones, by language and key. */
  texts: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const element = document.querySelector<HTMLMetaElement>('meta[name="settings"]')

function read(): Settings {
  try {
    return JSON.parse(element?.content ?? '') as Settings
  } catch {
    // served by Vite, which fills nothing in
    return { providers: [], demo: false, texts: {} }
  }
}

export const settings = read()

/** The nonce that inserted styles need, by the page's Content-Security-Policy. */
export const nonce = element?.nonce ?? ''
