import { found } from './fields.js'
import { findMandate } from './mandate-queries.js'
import type { Edit } from './scope.js'
import {
  deleteSubscription,
  findSubscriptionForUpdate,
  insertSubscription,
  updateSubscription,
  type Subscription,
} from './subscription-queries.js'

/** Gives a mandate a plan and quotas. Throws `not_found`, and `conflict` if the mandate has a subscription. */
export async function makeSubscription(
  { tx, record }: Edit,
  subscription: Parameters<typeof insertSubscription>[1],
): Promise<Subscription> {
  const { id: mandateId } = found(await findMandate(tx, subscription.mandateId))
  const made = await insertSubscription(tx, subscription)
  await record({ mandateId, action: 'subscription_created', subject: `mandate:${mandateId}`, after: made })
  return made
}

async function beginChange({ tx, checkUnchanged }: Edit, mandateId: string): Promise<Subscription> {
  const before = found(await findSubscriptionForUpdate(tx, mandateId))
  checkUnchanged(before)
  return before
}

/** The fields of a subscription that a change may have. null is no limit. */
export interface SubscriptionChange {
  plan?: string | undefined
  requestsPerMonth?: number | null | undefined
  members?: number | null | undefined
  instances?: number | null | undefined
}

/** Changes the plan or quotas of a mandate. Throws `not_found` and `changed_meanwhile`. */
export async function changeSubscription(
  edit: Edit,
  mandateId: string,
  change: SubscriptionChange,
): Promise<Subscription> {
  const before = await beginChange(edit, mandateId)
  const {
    plan = before.plan,
    requestsPerMonth = before.requestsPerMonth,
    members = before.members,
    instances = before.instances,
  } = change
  const after = { ...before, plan, requestsPerMonth, members, instances }
  await updateSubscription(edit.tx, after)
  await edit.record({
    mandateId: before.mandateId,
    action: 'subscription_changed',
    subject: `mandate:${before.mandateId}`,
    before,
    after,
  })
  return after
}

/** Ends the subscription of a mandate. Throws `not_found` and `changed_meanwhile`. */
export async function removeSubscription(edit: Edit, mandateId: string): Promise<void> {
  const before = await beginChange(edit, mandateId)
  await deleteSubscription(edit.tx, before.mandateId)
  await edit.record({
    mandateId: before.mandateId,
    action: 'subscription_deleted',
    subject: `mandate:${before.mandateId}`,
    before,
  })
}
