import { z } from 'zod'
import { fieldError } from '../domain/reasons.js'
import { idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, positionedPage } from '../http/endpoint/page.js'
import { flag, label, search, slug } from './fields.js'
import { columnsOf, findMandate, listMandates, searchMandates } from './mandate-queries.js'
import { changeMandate, makeMandate, removeMandate } from './mandates.js'
import {
  changeEndpoint,
  createEndpoint,
  listEndpoint,
  removeEndpoint,
  showEndpoint,
} from './resource-endpoints.js'
import { platformScope, type AdminScope, type Governing } from './scope.js'

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

const path = '/admin/mandates'
const itemPath = `${path}/:id`

const listAllMandates = (scope: AdminScope) =>
  listEndpoint({
    scope,
    path,
    summary:
      'List mandates by slug, or search them by the beginning of the slug, the label or a word of them',
    query: mandateQuery,
    item: mandate,
    list: (sql, { query: { q, sort = 'slug', limit, cursor, enabled } }) => {
      const page = {
        enabled,
        after: decodePosition(cursor, q === undefined ? columnsOf(sort) : 2),
        atMost: limit + 1,
      }
      return q === undefined ? listMandates(sql, sort, page) : searchMandates(sql, q, page)
    },
    page: positionedPage,
  })

/** Returns the endpoints by which platform admins govern mandates. */
export function mandateEndpoints(governing: Governing): Endpoint[] {
  const scope = platformScope(governing)
  const create = createEndpoint({
    scope,
    path,
    summary: 'Make a mandate',
    body: newMandate,
    fields: mandateFields,
    create: makeMandate,
    location: ({ id }) => `${path}/${id}`,
  })
  const show = showEndpoint({
    scope,
    path: itemPath,
    summary: 'Show a mandate',
    item: mandate,
    find: (sql, call) => findMandate(sql, idOf(call)),
  })
  const change = changeEndpoint({
    scope,
    path: itemPath,
    summary: 'Change a mandate; when disabling it answers, no node lets its members in any more',
    body: mandateChange,
    fields: mandateFields,
    update: (edit, call) => changeMandate(edit, idOf(call), call.body),
  })
  const remove = removeEndpoint({
    scope,
    path: itemPath,
    summary:
      'Delete a mandate with its memberships, roles, instances and projects; what the audit says of it stays',
    remove: (edit, call) => removeMandate(edit, idOf(call)),
  })
  return [listAllMandates(scope), create, show, change, remove]
}
