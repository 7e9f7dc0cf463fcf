import { byLanguage, textsIn, type Language } from '../domain/languages.js'

/** What keys of the texts of the portal begin with. */
export const portalPrefix = 'portal.'

/** What keys of the texts of console, documentation and quick start page begin with. */
export const consolePrefix = 'console.'

/** Texts by language and key. */
export type TextsByLanguage = Readonly<Record<Language, Readonly<Record<string, string>>>>

const under = (prefix: string, texts: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [`${prefix}${name}`, text]))

/** All texts that SysAdmins can change, as they are delivered. */
export const shippedTexts: TextsByLanguage = byLanguage((language) => {
  const { console: pages, portal } = textsIn(language)
  return { ...under(portalPrefix, portal), ...under(consolePrefix, pages) }
})
