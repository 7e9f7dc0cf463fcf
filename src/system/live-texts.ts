import type { Sql } from '../database/connect.js'
import { byLanguage, textsIn, type Language, type Locale } from '../domain/languages.js'
import { portalPrefix, type TextsByLanguage } from './shipped-texts.js'
import { listChangedTexts } from './translation-queries.js'

type PortalTexts = Locale['portal']

const freshForMs = 5000

/**
 * Returns a function that returns at once the texts that SysAdmins have changed, by language and by name
 * without the prefix of their keys. It reads them again in the background when they are older than five
 * seconds. While the database cannot be asked, it returns the last known ones.
 */
export function changedTexts({ sql, prefix }: { sql: Sql; prefix: string }): () => TextsByLanguage {
  let current: TextsByLanguage = byLanguage(() => ({}))
  let readAt = -Infinity
  const read = async () => {
    const changed = (await listChangedTexts(sql)).filter(({ key }) => key.startsWith(prefix))
    current = byLanguage((language) =>
      Object.fromEntries(
        changed
          .filter((one) => one.language === language)
          .map(({ key, text }) => [key.slice(prefix.length), text]),
      ),
    )
  }
  return () => {
    if (performance.now() - readAt > freshForMs) {
      readAt = performance.now()
      read().catch(() => undefined) // the last known texts stay
    }
    return current
  }
}

/** Returns a function that returns the portal's texts as SysAdmins have changed them, else as shipped. */
export function livePortalTexts(sql: Sql): (language: Language) => PortalTexts {
  const changed = changedTexts({ sql, prefix: portalPrefix })
  const merged = (latest: TextsByLanguage, language: Language): PortalTexts => {
    const shipped = textsIn(language).portal
    const known = Object.entries(latest[language] ?? {}).filter(([name]) => name in shipped)
    return { ...shipped, ...Object.fromEntries(known) }
  }
  let seen: TextsByLanguage | undefined
  let current: Record<Language, PortalTexts> = {}
  return (language) => {
    const latest = changed()
    if (latest !== seen) {
      seen = latest
      current = byLanguage((one) => merged(latest, one))
    }
    return current[language] ?? textsIn(language).portal
  }
}
