import { useSyncExternalStore } from 'react'
import { settings } from '../app/settings'
import { texts, type TextKey } from './texts'

export type Language = 'en' | 'de'

const key = 'mandate-gateway.language'
const listeners = new Set<() => void>()
const guess = (): Language =>
  navigator.languages.find((one) => /^(?:de|en)\b/.test(one))?.startsWith('de') ? 'de' : 'en'

let current: Language = (['en', 'de'] as const).find((one) => one === localStorage.getItem(key)) ?? guess()
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

/** What stands in a text at `{name}`. */
type Insertions = Record<string, string | number>
export type Say = (key: TextKey, insertions?: Insertions) => string

/** The texts of the language that is chosen. */
export function useText(): Say {
  const language = useLanguage()
  return (name, insertions = {}) =>
    (settings.texts[language][name] ?? texts[name][language === 'de' ? 1 : 0]).replace(
      /\{(\w+)\}/g,
      (hole, inner: string) => String(insertions[inner] ?? hole),
    )
}
