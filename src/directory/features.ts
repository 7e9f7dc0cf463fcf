import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import {
  countInstances,
  deleteFeature,
  findFeatureForUpdate,
  insertFeature,
  setFeatureLabel,
  type Feature,
} from './feature-queries.js'
import { found } from './fields.js'
import type { Edit } from './scope.js'

/** Creates a feature. Rejects with `conflict` if the code is taken. */
export async function makeFeature(
  { tx, record }: Pick<Edit, 'tx' | 'record'>,
  feature: Feature,
): Promise<Feature> {
  await insertFeature(tx, feature)
  await record({ action: 'feature_created', subject: `feature:${feature.code}`, after: feature })
  return feature
}

async function beginChange({ tx, checkUnchanged }: Edit, code: string): Promise<Feature> {
  const before = found(await findFeatureForUpdate(tx, code))
  checkUnchanged(before)
  return before
}

/** Gives a feature another label. Throws `not_found` and `changed_meanwhile`. */
export async function changeFeature(
  edit: Edit,
  code: string,
  change: { label?: string | undefined },
): Promise<Feature> {
  const before = await beginChange(edit, code)
  const after = { ...before, label: change.label ?? before.label }
  await setFeatureLabel(edit.tx, before.code, after.label)
  await edit.record({ action: 'feature_changed', subject: `feature:${before.code}`, before, after })
  return after
}

/** Deletes a feature. Throws `not_found`, `changed_meanwhile`, and `conflict` if it is installed somewhere. */
export async function removeFeature(edit: Edit, code: string): Promise<void> {
  const before = await beginChange(edit, code)
  const installed = await countInstances(edit.tx, before.code)
  if (installed > 0) throw new GatewayError('conflict', reason('feature_in_use', { instances: installed }))
  await deleteFeature(edit.tx, before.code)
  await edit.record({ action: 'feature_deleted', subject: `feature:${before.code}`, before })
}
