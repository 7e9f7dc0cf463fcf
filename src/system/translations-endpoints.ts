import { fieldError, reason } from '../domain/reasons.js'
import { z } from 'zod'
import { actorOf, recordChange } from '../audit/record-change.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { Database } from '../database/connect.js'
import { languages, type Language } from '../domain/languages.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { shippedTexts as shipped } from './shipped-texts.js'
import { deleteText, findChangedText, listChangedTexts, putText } from './translation-queries.js'

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
export function translationEndpoints({ database }: { database: Database }): Endpoint[] {
  const represent = (of: Language, key: string, text: string | undefined) => ({
    language: of,
    key,
    text: text ?? shipped[of]?.[key] ?? '',
    shipped: shipped[of]?.[key] ?? null,
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
      await beginAsAdmin(tx, call.state.principal?.user, 'sysAdmin')
      const { language: of, key } = named(params)
      const before = await findChangedText(tx, of, key)
      checkIfMatch(call, represent(of, key, before))
      if (text === undefined && before === undefined)
        throw new GatewayError('not_found', reason('text_unchanged'))
      await (text === undefined ? deleteText(tx, of, key) : putText(tx, { language: of, key, text }))
      await recordChange(tx, {
        actor: actorOf(call),
        mandateId: 'system',
        action: text === undefined ? 'translation_reset' : 'translation_changed',
        subject: `translation:${of}:${key}`,
        ...(before === undefined ? {} : { before: { text: before } }),
        ...(text === undefined ? {} : { after: { text } }),
      })
      return represent(of, key, text)
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
              ...Object.keys(shipped[of] ?? {}),
              ...[...changed.values()].filter((row) => row.language === of).map(({ key }) => key),
            ])
            return [...keys].sort().map((key) => represent(of, key, changed.get(`${of} ${key}`)?.text))
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
        const changed = (await listChangedTexts(database, of)).find((row) => row.key === key)?.text
        const body = represent(of, key, changed)
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
          .regex(/^[^\0]*$/, fieldError('nul')),
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
