import type { ShippedTexts } from './translations.js'

/** Texts by name, as keys of the list of translations: each under `prefix`. */
export function keyed(prefix: string, { de, en }: Record<'de' | 'en', object>): ShippedTexts {
  const under = (texts: object): Record<string, string> => Object.fromEntries(Object.entries(texts).map(([name, text]) => [`${prefix}${name}`, String(text)]))
  return { de: under(de), en: under(en) }
}
