import { z } from 'zod'
import { actorOf, recordChange } from '../audit/record-change.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { Database, Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { deleteText, findChangedText, listChangedTexts, putText } from './translation-queries.js'

/** The languages that portal and console speak. */
export const languages = ['de', 'en'] as const
export type Language = (typeof languages)[number]

/** Texts by language and key. */
export type ShippedTexts = Record<Language, Readonly<Record<string, string>>>

const freshForMs = 5000

/**
 * The texts under a prefix of their keys that SysAdmins have changed, by language and by name without the
 * prefix, at once. They are looked up again behind a request when what is known is older than five seconds;
 * while the database cannot be asked, what was known last is said.
 */
export function changedTexts({ sql, prefix }: { sql: Sql; prefix: string }): () => ShippedTexts {
  let current: ShippedTexts = { de: {}, en: {} }
  let lookedAt = -Infinity
  const look = async () => {
    const changed = (await listChangedTexts(sql)).filter(({ key }) => key.startsWith(prefix))
    const known = (language: Language) =>
      Object.fromEntries(
        changed
          .filter((one) => one.language === language)
          .map(({ key, text }) => [key.slice(prefix.length), text]),
      )
    current = { de: known('de'), en: known('en') }
  }
  return () => {
    if (performance.now() - lookedAt > freshForMs) {
      lookedAt = performance.now()
      look().catch(() => undefined) // what was known last stays
    }
    return current
  }
}

/** Texts as SysAdmins have changed them, else as shipped, at once. */
export function liveTexts<Texts extends object>({
  shipped,
  ...source
}: {
  sql: Sql
  prefix: string
  shipped: Record<Language, Texts>
}): (language: Language) => Texts {
  const changed = changedTexts(source)
  let [known, current] = [changed(), shipped]
  return (language) => {
    const latest = changed()
    if (latest !== known) {
      known = latest
      const merged = (one: Language) => ({
        ...shipped[one],
        ...Object.fromEntries(Object.entries(latest[one]).filter(([name]) => name in shipped[one])),
      })
      current = { de: merged('de'), en: merged('en') }
    }
    return current[language]
  }
}

const translated = z
  .strictObject({
    language: z.enum(languages),
    key: z.string(),
    text: z.string().meta({ description: 'what is shown' }),
    shipped: z
      .string()
      .nullable()
      .meta({ description: 'what was shipped; null for a text that is all your own' }),
    changed: z.boolean(),
  })
  .meta({ id: 'Translation' })

const language = z.enum(languages, `must be ${languages.join(' or ')}`)
const noText = () =>
  new GatewayError(
    'not_found',
    `There is no such text: languages are ${languages.join(' and ')}, keys are letters, digits and ._-`,
  )
const keyForm = /^[\w.-]{1,200}$/

/** The texts of portal and console, as SysAdmins change them; the shipped ones are what there is without. */
export function translationEndpoints({
  database,
  loadShipped,
}: {
  database: Database
  loadShipped: () => Promise<ShippedTexts>
}): Endpoint[] {
  const represent = (shipped: ShippedTexts, of: Language, key: string, text: string | undefined) => ({
    language: of,
    key,
    text: text ?? shipped[of][key] ?? '',
    shipped: shipped[of][key] ?? null,
    changed: text !== undefined,
  })
  const named = (params: Record<string, string>) => {
    const of = language.safeParse(params.language)
    if (!of.success || !keyForm.test(params.key ?? '')) throw noText()
    return { language: of.data, key: params.key ?? '' }
  }
  const change = (
    call: Parameters<typeof actorOf>[0],
    params: Record<string, string>,
    text: string | undefined,
  ) =>
    database.transaction(async (tx) => {
      await beginAsAdmin(tx, call.principal?.user, 'sysAdmin')
      const { language: of, key } = named(params)
      const shipped = await loadShipped()
      const before = await findChangedText(tx, of, key)
      checkIfMatch(call, represent(shipped, of, key, before))
      if (text === undefined && before === undefined)
        throw new GatewayError('not_found', 'This text has not been changed')
      await (text === undefined ? deleteText(tx, of, key) : putText(tx, { language: of, key, text }))
      await recordChange(tx, {
        actor: actorOf(call),
        mandateId: 'system',
        action: text === undefined ? 'translation_reset' : 'translation_changed',
        subject: `translation:${of}:${key}`,
        ...(before === undefined ? {} : { before: { text: before } }),
        ...(text === undefined ? {} : { after: { text } }),
      })
      return represent(shipped, of, key, text)
    })
  return [
    endpoint({
      method: 'get',
      path: '/system/translations',
      summary: 'List the texts of portal and console by language, with what was shipped',
      access: sysAdmins,
      query: z.strictObject({ language: language.optional() }),
      answers: { 200: z.strictObject({ items: z.array(translated), nextCursor: z.null() }) },
      handle: async ({ query }) => {
        const shipped = await loadShipped()
        const changed = new Map(
          (await listChangedTexts(database, query.language)).map((row) => [
            `${row.language} ${row.key}`,
            row,
          ]),
        )
        const items = languages
          .filter((one) => query.language === undefined || one === query.language)
          .flatMap((of) => {
            const keys = new Set([
              ...Object.keys(shipped[of]),
              ...[...changed.values()].filter((row) => row.language === of).map(({ key }) => key),
            ])
            return [...keys]
              .sort()
              .map((key) => represent(shipped, of, key, changed.get(`${of} ${key}`)?.text))
          })
        return { status: 200, body: { items, nextCursor: null }, headers: { ETag: etagOf(items) } }
      },
    }),
    endpoint({
      method: 'get',
      path: '/system/translations/:language/:key',
      summary: 'Show a text, with what was shipped',
      access: sysAdmins,
      answers: { 200: translated },
      handle: async ({ params }) => {
        const { language: of, key } = named(params)
        const shipped = await loadShipped()
        const changed = (await listChangedTexts(database, of)).find((row) => row.key === key)?.text
        const body = represent(shipped, of, key, changed)
        if (body.shipped === null && !body.changed) throw noText()
        return { status: 200, body, headers: { ETag: etagOf(body) } }
      },
    }),
    endpoint({
      method: 'put',
      path: '/system/translations/:language/:key',
      summary: 'Put a text in place of the shipped one',
      access: sysAdmins,
      body: z.strictObject({
        text: z
          .string()
          .min(1, 'must not be empty')
          .max(5000)
          .regex(/^[^\0]*$/, 'must not hold NUL'),
      }),
      answers: { 200: translated },
      handle: async ({ req, params, body: { text } }) => {
        const made = await change(req, params, text)
        return { status: 200, body: made, headers: { ETag: etagOf(made) } }
      },
    }),
    endpoint({
      method: 'delete',
      path: '/system/translations/:language/:key',
      summary: 'Take a changed text away: the shipped one counts again',
      access: sysAdmins,
      answers: { 200: translated },
      handle: async ({ req, params }) => {
        const body = await change(req, params, undefined)
        return { status: 200, body, headers: { ETag: etagOf(body) } }
      },
    }),
  ]
}
