import { found } from './fields.js'
import {
  deleteMandate,
  findMandateForUpdate,
  insertMandate,
  updateMandate,
  type Mandate,
} from './mandate-queries.js'
import type { Edit } from './scope.js'

/** Creates a mandate. Rejects with `conflict` if the slug is taken. */
export async function makeMandate(
  { tx, record }: Pick<Edit, 'tx' | 'record'>,
  mandate: Pick<Mandate, 'slug' | 'label' | 'enabled'>,
): Promise<Mandate> {
  const made = await insertMandate(tx, mandate)
  await record({ mandateId: made.id, action: 'mandate_created', subject: `mandate:${made.id}`, after: made })
  return made
}

/** Locks a mandate that is about to change, with all its holders. Throws `not_found` and `changed_meanwhile`. */
async function beginChange({ tx, about, checkUnchanged }: Edit, id: string): Promise<Mandate> {
  const before = found(await findMandateForUpdate(tx, id))
  checkUnchanged(before)
  await about({ mandateId: before.id })
  return before
}

/** Changes a mandate. Throws `not_found`, `changed_meanwhile`, and `conflict` if the slug is taken. */
export async function changeMandate(
  edit: Edit,
  id: string,
  change: { slug?: string | undefined; label?: string | undefined; enabled?: boolean | undefined },
): Promise<Mandate> {
  const before = await beginChange(edit, id)
  const after = {
    ...before,
    slug: change.slug ?? before.slug,
    label: change.label ?? before.label,
    enabled: change.enabled ?? before.enabled,
  }
  await updateMandate(edit.tx, after)
  await edit.record({
    mandateId: before.id,
    action: 'mandate_changed',
    subject: `mandate:${before.id}`,
    before,
    after,
  })
  return after
}

/** Deletes a mandate with everything in it. The audit stays. Throws `not_found` and `changed_meanwhile`. */
export async function removeMandate(edit: Edit, id: string): Promise<void> {
  const before = await beginChange(edit, id)
  await deleteMandate(edit.tx, before.id)
  await edit.record({
    mandateId: before.id,
    action: 'mandate_deleted',
    subject: `mandate:${before.id}`,
    before,
  })
}
