import { useSyncExternalStore } from 'react'
import type english from '../../locales/en.json'
import type { components } from '../api/schema'
import { settings } from '../app/settings'

type Locale = typeof english
/** An ISO 639-1 code, such as `en`: the name of a file in `locales/`, as the API lists them. */
export type Language = components['schemas']['Translation']['language']

/** The base of keys such as `receipt.acked.one` and `receipt.acked.other`: `{count}` says which one it is. */
type PluralKey<Key> = Key extends `${infer Base}.other` ? Base : never
/** The key of a text that people see. */
export type TextKey = keyof Locale['console'] | PluralKey<keyof Locale['console']>
type Texts = Readonly<Record<string, string>>

/** What can stand in a text at `{name}`. A list is a choice: "a, b or c". */
type TextValue = string | number | readonly string[]
export type TextValues = Readonly<Record<string, TextValue>>

const files = import.meta.glob<Locale>('../../locales/*.json', { eager: true, import: 'default' })
const source = 'en'
const codeOf = (file: string) => file.replace(/^.*\/|\.json$/g, '') as Language
const locales = new Map(Object.entries(files).map(([file, locale]) => [codeOf(file), locale]))

/** Every language that there is, English first, as it names itself. */
export const languages: readonly { code: Language; name: string }[] = [...locales]
  .map(([code, { name }]) => ({ code, name }))
  .sort((a, b) => Number(b.code === source) - Number(a.code === source))

const key = 'mandate-gateway.language'
const listeners = new Set<() => void>()
const known = (language: string | null) => languages.find(({ code }) => code === language)?.code
const preferred = () => navigator.languages.map((one) => known(one.slice(0, 2))).find(Boolean)

let current: Language = known(localStorage.getItem(key)) ?? preferred() ?? source
document.documentElement.lang = current

export function chooseLanguage(language: Language): void {
  current = language
  localStorage.setItem(key, language)
  document.documentElement.lang = language
  for (const listener of listeners) listener()
}

export function useLanguage(): Language {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => current,
  )
}

/** Returns the locale by which `Intl` writes numbers, dates and lists in a language. */
export const localeOf = (language: Language): string => locales.get(language)?.locale ?? language

/** Returns a text of a group, in English where the language does not have it; undefined without such a key. */
const textOf = (language: Language, group: 'console' | 'reasons', name: string): string | undefined => {
  const own: Texts | undefined = locales.get(language)?.[group]
  const fallback: Texts | undefined = locales.get(source)?.[group]
  return own?.[name] ?? fallback?.[name]
}

/** Whether there is a text with this key: a newer gateway may send codes that have none. */
export const isTextKey = (name: string): name is TextKey => textOf(source, 'console', name) !== undefined

/** Returns a function that puts values in place as a language writes them. */
function writerOf(language: Language) {
  const locale = localeOf(language)
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 })
  const choice = new Intl.ListFormat(locale, { type: 'disjunction' })
  const write = (value: TextValue) => {
    if (typeof value === 'object') return choice.format(value)
    return typeof value === 'number' ? number.format(value) : value
  }
  return (text: string, values: TextValues) =>
    text.replace(/\{(\w+)\}/g, (hole, name: string) => write(values[name] ?? hole))
}

export type Say = (key: TextKey, values?: TextValues) => string

/** Returns the texts of a language, as SysAdmins have changed them. */
function sayIn(language: Language): Say {
  const write = writerOf(language)
  const plural = new Intl.PluralRules(localeOf(language))
  const find = (name: string) => settings.texts[language]?.[name] ?? textOf(language, 'console', name)
  const form = (name: string, count: TextValue | undefined) =>
    typeof count === 'number' ? find(`${name}.${plural.select(count)}`) : undefined
  return (name, values = {}) =>
    write(find(name) ?? form(name, values.count) ?? find(`${name}.other`) ?? name, values)
}

const spoken = new Map(languages.map(({ code }) => [code, sayIn(code)]))

/** Returns the texts of the chosen language. */
export function useText(): Say {
  const language = useLanguage()
  return spoken.get(language) ?? sayIn(language)
}

const explained = new Map(languages.map(({ code }) => [code, writerOf(code)]))

/** Returns a function that returns the text of a refusal's reason; undefined for a code without a text. */
export function useReason(): (code: string, values: TextValues) => string | undefined {
  const language = useLanguage()
  const write = explained.get(language) ?? writerOf(language)
  return (code, values) => {
    const text = textOf(language, 'reasons', code)
    return text === undefined ? undefined : write(text, values)
  }
}

/** Returns a function that names an action of the audit; an unknown one, of a newer gateway, by its code. */
export function useActionName(): (action: string) => string {
  const say = useText()
  return (action) => {
    const name = `action.${action}`
    return isTextKey(name) ? say(name) : action
  }
}
