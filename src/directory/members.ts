import { reason } from '../domain/reasons.js'
import { GatewayError, notFound } from '../errors.js'
import { found, invalid } from './fields.js'
import {
  accesses,
  deleteMember,
  findMember,
  findMemberForUpdate,
  findRoles,
  insertMember,
  memberships,
  setMemberEnabled,
  setMemberRoles,
  type Member,
  type MemberKind,
  type MemberRows,
} from './member-queries.js'
import { refuseOverQuota } from './quota-queries.js'
import type { Edit } from './scope.js'
import { hasLevel } from './user-queries.js'

/** A change of the rows of one mandate or instance. */
export type MemberEdit = Edit & { mandateId: string; rows: MemberRows }

const summaryOf = ({ id: rowId, userId, enabled, roleIds: ids }: Member) => ({
  id: rowId,
  userId,
  enabled,
  roleIds: ids,
})

/** Refuses roles that do not exist, or that have no effect here. Throws `not_found` and `validation_failed`. */
async function refuseOtherRoles({ tx, rows: { kind, withinId } }: MemberEdit, ids: string[]): Promise<void> {
  const roles = new Map((await findRoles(tx, ids)).map((role) => [role.id, role]))
  for (const [index, roleId] of ids.entries()) {
    const { instanceId } = found(roles.get(roleId))
    if (instanceId !== null && instanceId !== withinId)
      throw invalid(
        `roleIds.${index}`,
        kind === memberships ? reason('role_of_instance') : reason('role_of_other_instance'),
      )
  }
}

/** Returns the holders that a change of a row affects, with the roles that it gives them. */
const affectedBy = (
  { mandateId, rows: { kind, withinId } }: MemberEdit,
  userId: string,
  given: string[],
) => ({
  userId,
  mandateId,
  ...(kind === accesses ? { instanceId: withinId } : {}),
  grants: given.map((roleId) => ({
    instanceId: kind === accesses ? withinId : null,
    before: [],
    after: [roleId],
  })),
})

/** Refuses a change of one's own row: it could lock out the only people who could undo it. Throws `conflict`. */
function refuseOwn({ delegatedAdmin }: Edit, userId: string): void {
  if (delegatedAdmin?.userId === userId) throw new GatewayError('conflict', reason('about_yourself'))
}

/** Refuses a change of a row of a platform admin by a delegated admin. Throws `permission_denied`. */
async function refuseOperator({ delegatedAdmin, tx }: Edit, userId: string): Promise<void> {
  if (delegatedAdmin && (await hasLevel(tx, userId))) {
    throw new GatewayError('permission_denied', reason('governs_platform'))
  }
}

const eventOf = (kind: MemberKind) => (kind === memberships ? 'member' : 'access')

/**
 * Adds a user, with roles. On an instance the user must be a member of its mandate: `notMember` is thrown
 * otherwise. Rejects with `conflict` if they have a row already, or over quota.
 */
export async function addMember(
  at: MemberEdit,
  userId: string,
  { enabled, roleIds }: { enabled: boolean; roleIds: string[] },
  notMember: () => GatewayError,
): Promise<Member> {
  const { tx, mandateId, rows } = at
  const { kind } = rows
  if (kind === memberships) await refuseOverQuota(tx, mandateId, 'members')
  else if (!(await findMember(tx, { ...rows, kind: memberships, withinId: mandateId }, userId)))
    throw notMember()
  await refuseOtherRoles(at, roleIds)
  await at.about(affectedBy(at, userId, roleIds))
  await insertMember(tx, rows, userId, enabled)
  await refuseOperator(at, userId) // whom the transaction sees now that they are a member
  const inserted = found(await findMember(tx, rows, userId))
  await setMemberRoles(tx, kind, inserted.id, roleIds)
  const after = { ...inserted, roleIds: [...roleIds].sort() }
  await at.record({
    action: `${eventOf(kind)}_added`,
    subject: `${eventOf(kind)}:${after.id}`,
    after: summaryOf(after),
  })
  return after
}

/** Makes a user a member of a mandate, with roles of it. Rejects with `conflict` if they are one already. */
export async function addMembership(
  edit: Edit,
  mandateId: string,
  userId: string,
  given: string[],
): Promise<Member> {
  const rows = { kind: memberships, withinId: mandateId, seesAll: true }
  const at: MemberEdit = {
    ...edit,
    mandateId,
    rows,
    record: (change) => edit.record({ ...change, mandateId }),
  }
  return await addMember(at, userId, { enabled: true, roleIds: given }, notFound)
}

/** Changes whether a member may enter, or their roles. Throws as the parts that it calls do. */
export async function changeMember(
  at: MemberEdit,
  memberId: string,
  change: { enabled?: boolean | undefined; roleIds?: string[] | undefined },
): Promise<Member> {
  const { tx, rows } = at
  const { kind } = rows
  const before = found(await findMemberForUpdate(tx, rows, memberId))
  at.checkUnchanged(before)
  const after = {
    ...before,
    enabled: change.enabled ?? before.enabled,
    roleIds: [...(change.roleIds ?? before.roleIds)].sort(),
  }
  const given = after.roleIds.filter((roleId) => !before.roleIds.includes(roleId))
  const isSame = after.enabled === before.enabled && after.roleIds.join() === before.roleIds.join()
  if (!isSame) refuseOwn(at, before.userId)
  await refuseOperator(at, before.userId)
  await refuseOtherRoles(at, given)
  await at.about(affectedBy(at, before.userId, given))
  await setMemberEnabled(tx, kind, before.id, after.enabled)
  await setMemberRoles(tx, kind, before.id, after.roleIds)
  await at.record({
    action: `${eventOf(kind)}_changed`,
    subject: `${eventOf(kind)}:${before.id}`,
    before: summaryOf(before),
    after: summaryOf(after),
  })
  return after
}

/** Removes a member; from a mandate also their access to its instances. Throws `not_found`, and as a change does. */
export async function removeMember(at: MemberEdit, memberId: string): Promise<void> {
  const { tx, rows } = at
  const { kind } = rows
  const before = found(await findMemberForUpdate(tx, rows, memberId))
  at.checkUnchanged(before)
  refuseOwn(at, before.userId)
  await refuseOperator(at, before.userId)
  await at.about(affectedBy(at, before.userId, []))
  await deleteMember(tx, rows, before)
  await at.record({
    action: `${eventOf(kind)}_removed`,
    subject: `${eventOf(kind)}:${before.id}`,
    before: summaryOf(before),
  })
}
