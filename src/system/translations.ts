import { recordChange, type Actor } from '../audit/record-change.js'
import type { Sql, Tx } from '../database/connect.js'
import { languages, type Language } from '../domain/languages.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { shippedTexts as shipped } from './shipped-texts.js'
import { deleteText, findChangedText, listChangedTexts, putText } from './translation-queries.js'

/** A text of portal or console, with what was shipped. */
export interface Translation {
  language: Language
  key: string
  /** What is shown. */
  text: string
  /** Null for a text that is all the SysAdmins' own. */
  shipped: string | null
  changed: boolean
}

/** Which text is meant. */
export interface TextName {
  language: Language
  key: string
}

const represent = ({ language, key }: TextName, text: string | undefined): Translation => ({
  language,
  key,
  text: text ?? shipped[language]?.[key] ?? '',
  shipped: shipped[language]?.[key] ?? null,
  changed: text !== undefined,
})

/** Lists all texts, of one language or of all, by language and key. */
export async function listTranslations(sql: Sql, only: Language | undefined): Promise<Translation[]> {
  const changed = await listChangedTexts(sql, only)
  return languages
    .filter((language) => only === undefined || language === only)
    .flatMap((language) => {
      const own = new Map(
        changed.filter((row) => row.language === language).map((row) => [row.key, row.text]),
      )
      const keys = new Set([...Object.keys(shipped[language] ?? {}), ...own.keys()])
      return [...keys].sort().map((key) => represent({ language, key }, own.get(key)))
    })
}

/** Finds a text; undefined if it was neither shipped nor changed. */
export async function findTranslation(sql: Sql, name: TextName): Promise<Translation | undefined> {
  const changed = (await listChangedTexts(sql, name.language)).find(({ key }) => key === name.key)?.text
  const found = represent(name, changed)
  return found.shipped === null && !found.changed ? undefined : found
}

/**
 * Puts a text in place of the shipped one, or takes it away for `undefined`. `check` sees the text as it was,
 * and throws to refuse the change. Throws `not_found` if there is nothing to take away.
 */
export async function changeTranslation(
  tx: Tx,
  { name, text, actor }: { name: TextName; text: string | undefined; actor: Actor },
  check: (before: Translation) => void,
): Promise<Translation> {
  const { language, key } = name
  const before = await findChangedText(tx, language, key)
  check(represent(name, before))
  if (text === undefined && before === undefined)
    throw new GatewayError('not_found', reason('text_unchanged'))
  await (text === undefined ? deleteText(tx, language, key) : putText(tx, { language, key, text }))
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: text === undefined ? 'translation_reset' : 'translation_changed',
    subject: `translation:${language}:${key}`,
    ...(before === undefined ? {} : { before: { text: before } }),
    ...(text === undefined ? {} : { after: { text } }),
  })
  return represent(name, text)
}
