import { z } from 'zod'
import { fieldError } from '../domain/reasons.js'
import { idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageFrom, positionOf } from '../http/endpoint/page.js'
import { id } from './fields.js'
import {
  changeEndpoint,
  createEndpoint,
  listEndpoint,
  removeEndpoint,
  showEndpoint,
} from './resource-endpoints.js'
import { platformScope, type AdminScope, type Governing } from './scope.js'
import { findSubscription, listSubscriptions } from './subscription-queries.js'
import { changeSubscription, makeSubscription, removeSubscription } from './subscriptions.js'

const plan = z.string().trim().min(1, 'must not be empty').max(100)
const count = (most: number) =>
  z.int(fieldError('whole_number_or_null')).min(0, 'must be 0 or more').max(most).nullable()
const quotas = {
  requestsPerMonth: count(Number.MAX_SAFE_INTEGER),
  members: count(2_147_483_647),
  instances: count(2_147_483_647),
}

const subscriptionFields = {
  mandateId: z.uuid(),
  slug: z.string(),
  label: z.string(),
  plan: z.string(),
  ...quotas,
  createdAt: z.iso.datetime(),
}
const subscription = z
  .strictObject(subscriptionFields)
  .meta({ id: 'Subscription', description: 'null is no limit' })
const newSubscription = z.strictObject({
  mandateId: id,
  plan,
  requestsPerMonth: quotas.requestsPerMonth.default(null),
  members: quotas.members.default(null),
  instances: quotas.instances.default(null),
})
const subscriptionChange = z.strictObject({ plan, ...quotas }).partial()
const subscriptionQuery = z.strictObject({ ...pageFields, plan: plan.optional() })

const path = '/admin/subscriptions'
const itemPath = `${path}/:id`

const listAllSubscriptions = (scope: AdminScope) =>
  listEndpoint({
    scope,
    path,
    summary: 'List the plans and quotas of mandates',
    query: subscriptionQuery,
    item: subscription,
    list: (sql, { query: { limit, cursor, plan: named } }) =>
      listSubscriptions(sql, { plan: named, after: decodePosition(cursor, 1)?.[0], atMost: limit + 1 }),
    page: (rows, limit) => pageFrom(rows, limit, ({ mandateId }) => positionOf(mandateId)),
  })

/** Returns the endpoints by which platform admins keep the plans and quotas of mandates. */
export function subscriptionEndpoints(governing: Governing): Endpoint[] {
  const scope = platformScope(governing)
  const create = createEndpoint({
    scope,
    path,
    summary: 'Give a mandate a plan and quotas; requests beyond them are 429, members and instances 409',
    body: newSubscription,
    fields: subscriptionFields,
    create: makeSubscription,
    location: ({ mandateId }) => `${path}/${mandateId}`,
  })
  const show = showEndpoint({
    scope,
    path: itemPath,
    summary: "Show a mandate's plan and quotas, by the mandate's id",
    item: subscription,
    find: (sql, call) => findSubscription(sql, idOf(call)),
  })
  const change = changeEndpoint({
    scope,
    path: itemPath,
    summary: "Change a mandate's plan or quotas; nodes keep to the new ones within a second",
    body: subscriptionChange,
    fields: subscriptionFields,
    update: (edit, call) => changeSubscription(edit, idOf(call), call.body),
  })
  const remove = removeEndpoint({
    scope,
    path: itemPath,
    summary: "End a mandate's subscription: it has no quotas then",
    remove: (edit, call) => removeSubscription(edit, idOf(call)),
  })
  return [listAllSubscriptions(scope), create, show, change, remove]
}
