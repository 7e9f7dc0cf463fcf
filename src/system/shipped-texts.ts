import type { ShippedTexts } from './translations-endpoints.js'

/** What keys of the texts of console, documentation and quick start page begin with. */
export const consolePrefix = 'console.'

/** Texts by name, as keys of the list of translations: each under `prefix`. */
export function keyed(prefix: string, { de, en }: Record<'de' | 'en', object>): ShippedTexts {
  const under = (texts: object): Record<string, string> =>
    Object.fromEntries(Object.entries(texts).map(([name, text]) => [`${prefix}${name}`, String(text)]))
  return { de: under(de), en: under(en) }
}

/**
 * All texts that can be changed: those of the pages, which are read once, under `console.`, and others that
 * are known.
 */
export function shippedTexts(
  others: ShippedTexts,
  readPages: () => Promise<ShippedTexts>,
): () => Promise<ShippedTexts> {
  let reading: Promise<ShippedTexts> | undefined
  return () =>
    (reading ??= readPages().then((read) => {
      const pages = keyed(consolePrefix, read)
      return { de: { ...others.de, ...pages.de }, en: { ...others.en, ...pages.en } }
    }))
}
