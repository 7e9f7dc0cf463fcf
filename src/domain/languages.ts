import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type english from '../../locales/en.json'
import type { TextValues } from './text-values.js'

/** All texts of one language, by group and key. English is the source of the keys. */
export type Locale = typeof english

/** An ISO 639-1 code, such as `en`: the name of a file in `locales/`. */
export type Language = string

const folder = fileURLToPath(new URL('../../locales/', import.meta.url))
const source = 'en'

const parseLocale = (directory: string, language: Language) =>
  JSON.parse(readFileSync(path.join(directory, `${language}.json`), 'utf8')) as Locale

/** Returns a language's texts, with the English ones in place of those that it lacks. */
const completed = (locale: Locale, fallback: Locale): Locale => ({
  ...locale,
  console: { ...fallback.console, ...locale.console },
  portal: { ...fallback.portal, ...locale.portal },
  pages: { ...fallback.pages, ...locale.pages },
  reasons: { ...fallback.reasons, ...locale.reasons },
  mail: { ...fallback.mail, ...locale.mail },
})

/** Returns the texts of each language that has a file in a directory, ordered by language. */
export function readLocales(directory: string): ReadonlyMap<Language, Locale> {
  const fallback = parseLocale(directory, source)
  const found = readdirSync(directory).flatMap((file) => /^([a-z]{2})\.json$/.exec(file)?.[1] ?? [])
  return new Map(
    found.sort().map((language) => [language, completed(parseLocale(directory, language), fallback)]),
  )
}

const locales = readLocales(folder)

/** The languages of portal, console and pages, in alphabetical order. A new file in `locales/` adds one. */
export const languages: readonly Language[] = [...locales.keys()]

/** The same, with English first: the language that the others are translated from. */
export const sourceFirst: readonly Language[] = [source, ...languages.filter((one) => one !== source)]

/** Returns the texts of a language; those of English where there is no such language. */
export const textsIn = (language: Language): Locale =>
  locales.get(language) ?? locales.get(source) ?? parseLocale(folder, source)

/** Returns what `make` returns for each language. */
export const byLanguage = <Value>(make: (language: Language) => Value): Record<Language, Value> =>
  Object.fromEntries(languages.map((language) => [language, make(language)]))

/** Returns a text of a language with its values in place. Numbers are written as they are. */
export function fillIn(text: string, values: TextValues, language: Language = source): string {
  const choice = (options: readonly string[]) =>
    new Intl.ListFormat(textsIn(language).locale, { type: 'disjunction' }).format(options)
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => {
    const value = values[name]
    return typeof value === 'object' ? choice(value) : String(value ?? hole)
  })
}
