import { reason } from '../domain/reasons.js'
import { found, invalid } from './fields.js'
import {
  deleteInstance,
  findInstanceForUpdate,
  hasFeature,
  insertInstance,
  updateInstance,
  type Instance,
} from './instance-queries.js'
import { findMandate } from './mandate-queries.js'
import { refuseOverQuota } from './quota-queries.js'
import type { Edit } from './scope.js'

/**
 * Installs a feature in the scope's mandate, or on the platform in the mandate that `instance` names. Throws
 * `not_found` without such a mandate, `validation_failed` without such a feature, and `conflict` over quota.
 */
export async function makeInstance(
  { tx, mandateId: within, record }: Edit,
  instance: Pick<Instance, 'featureCode' | 'label' | 'enabled'> & { mandateId?: string },
): Promise<Instance> {
  const mandateId = within ?? found(await findMandate(tx, instance.mandateId ?? '')).id
  if (!(await hasFeature(tx, instance.featureCode))) throw invalid('featureCode', reason('feature_unknown'))
  await refuseOverQuota(tx, mandateId, 'instances')
  const made = await insertInstance(tx, { ...instance, mandateId })
  await record({ mandateId, action: 'instance_created', subject: `instance:${made.id}`, after: made })
  return made
}

async function beginChange({ tx, about, checkUnchanged }: Edit, id: string): Promise<Instance> {
  const before = found(await findInstanceForUpdate(tx, id))
  checkUnchanged(before)
  await about({ instanceId: before.id })
  return before
}

/** Changes an instance. Throws `not_found` and `changed_meanwhile`. */
export async function changeInstance(
  edit: Edit,
  id: string,
  change: { label?: string | undefined; enabled?: boolean | undefined },
): Promise<Instance> {
  const before = await beginChange(edit, id)
  const after = {
    ...before,
    label: change.label ?? before.label,
    enabled: change.enabled ?? before.enabled,
  }
  await updateInstance(edit.tx, after)
  await edit.record({
    mandateId: before.mandateId,
    action: 'instance_changed',
    subject: `instance:${before.id}`,
    before,
    after,
  })
  return after
}

/** Removes an instance with its roles and all access to it. Throws `not_found` and `changed_meanwhile`. */
export async function removeInstance(edit: Edit, id: string): Promise<void> {
  const before = await beginChange(edit, id)
  await deleteInstance(edit.tx, before.id)
  await edit.record({
    mandateId: before.mandateId,
    action: 'instance_deleted',
    subject: `instance:${before.id}`,
    before,
  })
}
