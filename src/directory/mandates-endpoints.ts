import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch } from '../http/endpoint/etag.js'
import { decodePosition, pageFields, pageOf, positionedPage } from '../http/endpoint/page.js'
import {
  answerChanged,
  answerCreated,
  answerDeleted,
  answerItem,
  changedAnswers,
  changeQuery,
  createdAnswers,
  deletedAnswers,
} from './change-endpoints.js'
import { flag, found, label, search, slug } from './fields.js'
import {
  columnsOf,
  deleteMandate,
  findMandate,
  findMandateForUpdate,
  insertMandate,
  listMandates,
  searchMandates,
  updateMandate,
  type Mandate,
} from './mandate-queries.js'
import { platformScope, type Edit, type Governing } from './scope.js'

const mandateFields = {
  id: z.uuid(),
  slug: z.string(),
  label: z.string(),
  enabled: z.boolean(),
  createdAt: z.iso.datetime(),
}
const mandate = z.strictObject(mandateFields).meta({ id: 'Mandate' })
const newMandate = z.strictObject({ slug, label, enabled: z.boolean().default(true) })
const mandateChange = z.strictObject({ slug, label, enabled: z.boolean() }).partial()

const mandateQuery = z
  .strictObject({
    ...pageFields,
    q: search,
    enabled: flag,
    sort: z
      .enum(
        ['slug', '-slug', 'createdAt', '-createdAt'],
        fieldError('order', { choices: ['slug', 'createdAt'] }),
      )
      .optional(),
  })
  .refine(({ q, sort }) => q === undefined || sort === undefined, {
    path: ['sort'],
    ...fieldError('sort_with_search'),
  })

/** Makes a mandate. Rejects with `conflict` where the slug is taken. */
export async function makeMandate(
  { tx, record }: Pick<Edit, 'tx' | 'record'>,
  body: z.infer<typeof newMandate>,
): Promise<Mandate> {
  const made = await insertMandate(tx, body)
  await record({ mandateId: made.id, action: 'mandate_created', subject: `mandate:${made.id}`, after: made })
  return made
}

/** Mandates, as platform admins govern them. */
export function mandateEndpoints(governing: Governing): Endpoint[] {
  const { access, see, change } = platformScope(governing)
  return [
    endpoint({
      method: 'get',
      path: '/admin/mandates',
      summary:
        'List mandates by slug, or search them by the beginning of the slug, the label or a word of them',
      access,
      query: mandateQuery,
      answers: { 200: pageOf(mandate) },
      handle: async (call) => {
        const { q, sort = 'slug', limit, cursor, enabled } = call.query
        const page = {
          enabled,
          after: decodePosition(cursor, q === undefined ? columnsOf(sort) : 2),
          atMost: limit + 1,
        }
        const rows = await see(call, (sql) =>
          q === undefined ? listMandates(sql, sort, page) : searchMandates(sql, q, page),
        )
        return { status: 200, body: positionedPage(rows, limit) }
      },
    }),
    endpoint({
      method: 'post',
      path: '/admin/mandates',
      summary: 'Make a mandate',
      access,
      query: changeQuery,
      body: newMandate,
      answers: createdAnswers(mandateFields),
      handle: async (call) =>
        answerCreated(
          await change(call, (edit) => makeMandate(edit, call.body)),
          ({ id }) => `/admin/mandates/${id}`,
        ),
    }),
    endpoint({
      method: 'get',
      path: '/admin/mandates/:id',
      summary: 'Show a mandate',
      access,
      answers: { 200: mandate },
      handle: async (call) => answerItem(found(await see(call, (sql) => findMandate(sql, idOf(call))))),
    }),
    endpoint({
      method: 'patch',
      path: '/admin/mandates/:id',
      summary: 'Change a mandate; when disabling it answers, no node lets its members in any more',
      access,
      query: changeQuery,
      body: mandateChange,
      answers: changedAnswers(mandateFields),
      handle: async (call) =>
        answerChanged(
          await change(call, async ({ tx, about, record }) => {
            const before = found(await findMandateForUpdate(tx, idOf(call)))
            checkIfMatch(call.req, before)
            await about({ mandateId: before.id })
            const after = {
              ...before,
              slug: call.body.slug ?? before.slug,
              label: call.body.label ?? before.label,
              enabled: call.body.enabled ?? before.enabled,
            }
            await updateMandate(tx, after)
            await record({
              mandateId: before.id,
              action: 'mandate_changed',
              subject: `mandate:${before.id}`,
              before,
              after,
            })
            return after
          }),
        ),
    }),
    endpoint({
      method: 'delete',
      path: '/admin/mandates/:id',
      summary:
        'Delete a mandate with its memberships, roles, instances and projects; what the audit says of it stays',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async ({ tx, about, record }) => {
            const before = found(await findMandateForUpdate(tx, idOf(call)))
            checkIfMatch(call.req, before)
            await about({ mandateId: before.id })
            await deleteMandate(tx, before.id)
            await record({
              mandateId: before.id,
              action: 'mandate_deleted',
              subject: `mandate:${before.id}`,
              before,
            })
          }),
        ),
    }),
  ]
}
