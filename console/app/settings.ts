/** The settings that the gateway writes into the page, for visitors who have not signed in, too. */
export interface Settings {
  /** The sign-in providers that are configured. */
  authorities: ('google' | 'msft')[]
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
    return { authorities: [], demo: false, texts: {} }
  }
}

export const settings = read()

/** The nonce that inserted styles need, by the page's Content-Security-Policy. */
export const nonce = element?.nonce ?? ''
