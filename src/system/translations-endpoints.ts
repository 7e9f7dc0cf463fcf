import { fieldError } from '../domain/reasons.js'
import type { Request } from 'express'
import { z } from 'zod'
import { actorOf } from '../audit/record-change.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { Database } from '../database/connect.js'
import { languages } from '../domain/languages.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { changeTranslation, findTranslation, listTranslations, type TextName } from './translations.js'

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
const newText = z.strictObject({
  text: z
    .string()
    .min(1, 'must not be empty')
    .max(5000)
    .regex(/^[^\0]*$/, fieldError('nul')),
})

/** Returns the text that a path names. Throws `not_found` for a name that no text can have. */
function nameOf({ params }: Pick<Call<unknown, unknown>, 'params'>): TextName {
  const of = language.safeParse(params.language)
  const { key = '' } = params
  if (!of.success || !keyForm.test(key)) throw noText()
  return { language: of.data, key }
}

const listEndpoint = (database: Database) =>
  endpoint({
    method: 'get',
    path: '/system/translations',
    summary: 'List the texts of portal and console by language, with what was shipped',
    access: sysAdmins,
    query: z.strictObject({ language: language.optional() }),
    answers: { 200: z.strictObject({ items: z.array(translated), nextCursor: z.null() }) },
    handle: async ({ query }) => {
      const items = await listTranslations(database, query.language)
      return { status: 200, body: { items, nextCursor: null }, headers: { ETag: etagOf(items) } }
    },
  })

const showEndpoint = (database: Database) =>
  endpoint({
    method: 'get',
    path: '/system/translations/:language/:key',
    summary: 'Show a text, with what was shipped',
    access: sysAdmins,
    answers: { 200: translated },
    handle: async (call) => {
      const body = await findTranslation(database, nameOf(call))
      if (!body) throw noText()
      return { status: 200, body, headers: { ETag: etagOf(body) } }
    },
  })

/** Responds to a change of a text by somebody who still is a SysAdmin; `undefined` takes it away. */
async function answerChange(
  database: Database,
  call: { req: Request; params: Record<string, string> },
  text: string | undefined,
) {
  const { req } = call
  const body = await database.transaction(async (tx) => {
    await beginAsAdmin(tx, req.state.principal?.user, 'sysAdmin')
    const change = { name: nameOf(call), text, actor: actorOf(req) }
    return await changeTranslation(tx, change, (before) => checkIfMatch(req, before))
  })
  return { status: 200, body, headers: { ETag: etagOf(body) } }
}

/** The texts of portal and console. SysAdmins change them; the shipped ones count where nothing was changed. */
export function translationEndpoints({ database }: { database: Database }): Endpoint[] {
  return [
    listEndpoint(database),
    showEndpoint(database),
    endpoint({
      method: 'put',
      path: '/system/translations/:language/:key',
      summary: 'Put a text in place of the shipped one',
      access: sysAdmins,
      body: newText,
      answers: { 200: translated },
      handle: (call) => answerChange(database, call, call.body.text),
    }),
    endpoint({
      method: 'delete',
      path: '/system/translations/:language/:key',
      summary: 'Take a changed text away: the shipped one counts again',
      access: sysAdmins,
      answers: { 200: translated },
      handle: (call) => answerChange(database, call, undefined),
    }),
  ]
}
