import type { Language, Locale } from '../domain/languages.js'

/** The texts of the portal, by name. `{…}` stands for a value. */
export type PortalTexts = Readonly<Locale['portal']>

/** Returns the texts in a language. */
export type TextsOf = (language: Language) => PortalTexts
