import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch } from '../http/endpoint/etag.js'
import { decodePosition, pageFields, pageFrom, pageOf, positionOf } from '../http/endpoint/page.js'
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
import { found, id } from './fields.js'
import { findMandate } from './mandate-queries.js'
import { platformScope, type Governing } from './scope.js'
import {
  deleteSubscription,
  findSubscription,
  findSubscriptionForUpdate,
  insertSubscription,
  listSubscriptions,
  updateSubscription,
} from './subscription-queries.js'

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

/** What mandates have been sold, as platform admins keep it. */
export function subscriptionEndpoints(governing: Governing): Endpoint[] {
  const { access, see, change } = platformScope(governing)
  return [
    endpoint({
      method: 'get',
      path: '/admin/subscriptions',
      summary: 'List the plans and quotas of mandates',
      access,
      query: subscriptionQuery,
      answers: { 200: pageOf(subscription) },
      handle: async (call) => {
        const { limit, cursor, plan: named } = call.query
        const rows = await see(call, (sql) =>
          listSubscriptions(sql, { plan: named, after: decodePosition(cursor, 1)?.[0], atMost: limit + 1 }),
        )
        return { status: 200, body: pageFrom(rows, limit, ({ mandateId }) => positionOf(mandateId)) }
      },
    }),
    endpoint({
      method: 'post',
      path: '/admin/subscriptions',
      summary: 'Give a mandate a plan and quotas; requests beyond them are 429, members and instances 409',
      access,
      query: changeQuery,
      body: newSubscription,
      answers: createdAnswers(subscriptionFields),
      handle: async (call) =>
        answerCreated(
          await change(call, async ({ tx, record }) => {
            const { id: mandateId } = found(await findMandate(tx, call.body.mandateId))
            const made = await insertSubscription(tx, call.body)
            await record({
              mandateId,
              action: 'subscription_created',
              subject: `mandate:${mandateId}`,
              after: made,
            })
            return made
          }),
          ({ mandateId }) => `/admin/subscriptions/${mandateId}`,
        ),
    }),
    endpoint({
      method: 'get',
      path: '/admin/subscriptions/:id',
      summary: "Show a mandate's plan and quotas, by the mandate's id",
      access,
      answers: { 200: subscription },
      handle: async (call) => answerItem(found(await see(call, (sql) => findSubscription(sql, idOf(call))))),
    }),
    endpoint({
      method: 'patch',
      path: '/admin/subscriptions/:id',
      summary: "Change a mandate's plan or quotas; nodes keep to the new ones within a second",
      access,
      query: changeQuery,
      body: subscriptionChange,
      answers: changedAnswers(subscriptionFields),
      handle: async (call) =>
        answerChanged(
          await change(call, async ({ tx, record }) => {
            const before = found(await findSubscriptionForUpdate(tx, idOf(call)))
            checkIfMatch(call.req, before)
            const {
              plan: named = before.plan,
              requestsPerMonth = before.requestsPerMonth,
              members = before.members,
              instances = before.instances,
            } = call.body
            const after = { ...before, plan: named, requestsPerMonth, members, instances }
            await updateSubscription(tx, after)
            await record({
              mandateId: before.mandateId,
              action: 'subscription_changed',
              subject: `mandate:${before.mandateId}`,
              before,
              after,
            })
            return after
          }),
        ),
    }),
    endpoint({
      method: 'delete',
      path: '/admin/subscriptions/:id',
      summary: "End a mandate's subscription: it has no quotas then",
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async ({ tx, record }) => {
            const before = found(await findSubscriptionForUpdate(tx, idOf(call)))
            checkIfMatch(call.req, before)
            await deleteSubscription(tx, before.mandateId)
            await record({
              mandateId: before.mandateId,
              action: 'subscription_deleted',
              subject: `mandate:${before.mandateId}`,
              before,
            })
          }),
        ),
    }),
  ]
}
