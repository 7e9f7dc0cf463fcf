import type { z } from 'zod'
import { endpoint, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { pageOf } from '../http/endpoint/page.js'
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
import { found } from './fields.js'
import type { AdminCall, AdminScope, Edit, Seen } from './scope.js'

/** What each endpoint of a resource says of itself. */
interface Described {
  scope: AdminScope
  /** Express's pattern. */
  path: string
  summary: string
}

/** Returns the endpoint that lists a resource, page by page. */
export function listEndpoint<Query extends { limit: number }, Row>({
  scope: { access, see },
  list,
  page,
  item,
  ...described
}: Described & {
  query: z.ZodType<Query>
  /** The schema of an item. */
  item: z.ZodType
  /** Returns one row more than the page has, if there is one. `mandateId` is that of the scope, if it has one. */
  list: (sql: Seen, call: AdminCall & { query: Query }, mandateId: string | undefined) => Promise<Row[]>
  page: (rows: Row[], limit: number) => { items: object[]; nextCursor: string | null }
}): Endpoint {
  return endpoint({
    ...described,
    method: 'get',
    access,
    answers: { 200: pageOf(item) },
    handle: async (call) => {
      const rows = await see(call, (sql, mandateId) => list(sql, call, mandateId))
      return { status: 200, body: page(rows, call.query.limit) }
    },
  })
}

/** Returns the endpoint that shows an item, with its ETag. It responds `not_found` if `find` returns undefined. */
export function showEndpoint({
  scope: { access, see },
  find,
  item,
  ...described
}: Described & {
  /** The schema of the item. */
  item: z.ZodType
  find: (sql: Seen, call: AdminCall, mandateId: string | undefined) => Promise<object | undefined>
}): Endpoint {
  return endpoint({
    ...described,
    method: 'get',
    access,
    answers: { 200: item },
    handle: async (call) =>
      answerItem(found(await see(call, (sql, mandateId) => find(sql, call, mandateId)))),
  })
}

/** Returns the endpoint that creates an item and responds 201 with its `Location`. */
export function createEndpoint<Body, Item extends object>({
  scope: { access, change },
  fields,
  create,
  location,
  ...described
}: Described & {
  body: z.ZodType<Body>
  /** The fields of the created item. */
  fields: z.ZodRawShape
  create: (edit: Edit, body: Body) => Promise<Item>
  location: (item: Item) => string
}): Endpoint {
  return endpoint({
    ...described,
    method: 'post',
    access,
    query: changeQuery,
    answers: createdAnswers(fields),
    handle: async (call) => answerCreated(await change(call, (edit) => create(edit, call.body)), location),
  })
}

/** Returns the endpoint that changes an item. */
export function changeEndpoint<Body, Item extends object>({
  scope: { access, change },
  fields,
  update,
  ...described
}: Described & {
  body: z.ZodType<Body>
  /** The fields of the changed item. */
  fields: z.ZodRawShape
  update: (edit: Edit, call: Call<Body, { dryRun: boolean }>) => Promise<Item>
}): Endpoint {
  return endpoint({
    ...described,
    method: 'patch',
    access,
    query: changeQuery,
    answers: changedAnswers(fields),
    handle: async (call) => answerChanged(await change(call, (edit) => update(edit, call))),
  })
}

/** Returns the endpoint that removes an item, or ends what it stands for. */
export function removeEndpoint({
  scope: { access, change },
  remove,
  method = 'delete',
  ...described
}: Described & {
  method?: 'delete' | 'post'
  /** True if the item has no ETag. */
  unversioned?: true
  remove: (edit: Edit, call: AdminCall) => Promise<void>
}): Endpoint {
  return endpoint({
    ...described,
    method,
    access,
    query: changeQuery,
    answers: deletedAnswers,
    handle: async (call) => answerDeleted(await change(call, (edit) => remove(edit, call))),
  })
}
