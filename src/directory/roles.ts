import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { found, invalid } from './fields.js'
import { findInstance } from './instance-queries.js'
import { findMandate } from './mandate-queries.js'
import { deleteRole, findRoleForUpdate, insertRole, setRoleLabel, type Role } from './role-queries.js'
import type { Edit } from './scope.js'

/** A role as callers see it: with its scope by name. */
export type ShownRole = Role & { scope: 'global' | 'mandate' | 'instance' }

/** Returns a role with its scope by name. */
export const showRole = (role: Role): ShownRole => ({
  ...role,
  scope: role.featureInstanceId === null ? (role.mandateId === null ? 'global' : 'mandate') : 'instance',
})

/**
 * Returns a role that may be changed here. Within a mandate global roles are read-only. Throws `not_found` and
 * `permission_denied`.
 */
export async function roleToChange({ tx, mandateId }: Edit, roleId: string): Promise<Role> {
  const one = found(await findRoleForUpdate(tx, roleId))
  if (mandateId !== undefined && one.mandateId === null)
    throw new GatewayError('permission_denied', reason('role_global'))
  return one
}

/** Returns the holders that a change of a role's rules affects, with the rules that it grants by itself. */
export const concernOfRole = ({ id: roleId, featureInstanceId }: Role, after = [roleId]) => ({
  roleId,
  grants: [{ instanceId: featureInstanceId, before: [roleId], after }],
})

/** Creates a role without rules. Rejects with `not_found` without such a mandate or instance. */
export async function makeRole(
  { tx, mandateId: within, record }: Pick<Edit, 'tx' | 'mandateId' | 'record'>,
  body: Pick<Role, 'label' | 'mandateId' | 'featureInstanceId'>,
): Promise<Role> {
  const instance =
    body.featureInstanceId === null ? undefined : found(await findInstance(tx, body.featureInstanceId))
  const mandateId = within ?? instance?.mandateId ?? body.mandateId
  if (body.mandateId !== null && body.mandateId !== mandateId)
    throw invalid('mandateId', reason('not_mandate_of_instance'))
  if (within === undefined && mandateId !== null) found(await findMandate(tx, mandateId))
  const made = await insertRole(tx, {
    label: body.label,
    mandateId,
    featureInstanceId: body.featureInstanceId,
  })
  await record({ mandateId, action: 'role_created', subject: `role:${made.id}`, after: made })
  return made
}

async function beginChange(edit: Edit, id: string): Promise<Role> {
  const before = await roleToChange(edit, id)
  edit.checkUnchanged(showRole(before))
  return before
}

/** Gives a role another label. Throws as `roleToChange` does, and `changed_meanwhile`. */
export async function changeRole(
  edit: Edit,
  id: string,
  change: { label?: string | undefined },
): Promise<Role> {
  const before = await beginChange(edit, id)
  const after = { ...before, label: change.label ?? before.label }
  await setRoleLabel(edit.tx, before.id, after.label)
  await edit.record({
    mandateId: before.mandateId,
    action: 'role_changed',
    subject: `role:${before.id}`,
    before,
    after,
  })
  return after
}

/** Deletes a role with its rules. Throws as `roleToChange` does, and `changed_meanwhile`. */
export async function removeRole(edit: Edit, id: string): Promise<void> {
  const before = await beginChange(edit, id)
  await edit.about(concernOfRole(before, []))
  await deleteRole(edit.tx, before.id)
  await edit.record({
    mandateId: before.mandateId,
    action: 'role_deleted',
    subject: `role:${before.id}`,
    before,
  })
}
