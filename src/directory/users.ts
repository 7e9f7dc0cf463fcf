import { erasePersonalValues } from '../audit/audit-queries.js'
import { endSessionsOfUser, endWaysIn, revokeLooseTokens } from '../authentication/end-queries.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import type { Delivery } from '../messages/message-queries.js'
import { found } from './fields.js'
import type { Changing, Edit } from './scope.js'
import {
  deleteUser,
  findUserForUpdate,
  insertUser,
  isLastOfLevel,
  lockEnabledAdmins,
  updateUser,
  type EnabledAdmin,
  type ListedUser,
} from './user-queries.js'

/** A link by which a user can set a password once. */
export interface FirstAccessLink {
  /** Null where it is mailed. */
  url: string | null
  link: string | null
  expiresAt: Date
  /** How the message with it fares; null where there is none. */
  delivery: Delivery | null
}

/** Creates such a link. Earlier links of the same user stop working. */
export type IssueFirstAccess = (
  tx: CoherentTx,
  userId: string,
  issuedBy: string | null,
) => Promise<FirstAccessLink>

/** The fields of a user that a change may have. */
export interface UserChange {
  email?: string | null | undefined
  fullName?: string | null | undefined
  enabled?: boolean | undefined
  isPlatformAdmin?: boolean | undefined
  isSysAdmin?: boolean | undefined
}

/** Refuses a change of how a SysAdmin signs in by anybody but a SysAdmin. Throws `sysadmin_required`. */
export function refuseForeignSysAdmin(
  by: { isSysAdmin: boolean },
  user: Pick<ListedUser, 'isSysAdmin'>,
): void {
  if (user.isSysAdmin && !by.isSysAdmin) throw new GatewayError('sysadmin_required', reason('sysadmins_only'))
}

/** Returns the refusal to make somebody a SysAdmin, or to take that away. */
export const sysAdminFlagRefused = () =>
  new GatewayError('sysadmin_required', 'Who is a SysAdmin is decided by SysAdmins, at /system/admins')

/** Refuses a change that would leave a level without anybody who can sign in. Throws `conflict`. */
export function refuseLastAdmin(
  enabledAdmins: EnabledAdmin[],
  before: ListedUser,
  after: Pick<ListedUser, 'enabled' | 'isSysAdmin' | 'isPlatformAdmin'>,
): void {
  for (const [field, title] of [
    ['isSysAdmin', 'SysAdmin'],
    ['isPlatformAdmin', 'PlatformAdmin'],
  ] as const) {
    const remains = after.enabled && after[field]
    if (before[field] && !remains && isLastOfLevel(enabledAdmins, before.id, field)) {
      throw new GatewayError('conflict', reason('last_admin', { username: before.username, level: title }))
    }
  }
}

const takesAway = ({ enabled, isPlatformAdmin }: UserChange) => enabled === false || isPlatformAdmin === false

/**
 * Changes the fields of a user. Throws `sysadmin_required`, and `conflict` if a level would lose its last
 * admin.
 */
export async function changeUser(
  tx: Changing,
  by: { isSysAdmin: boolean },
  before: ListedUser,
  change: UserChange,
  enabledAdmins: EnabledAdmin[],
): Promise<ListedUser> {
  if (change.isSysAdmin !== undefined && change.isSysAdmin !== before.isSysAdmin) throw sysAdminFlagRefused()
  if (change.enabled !== undefined || change.email !== undefined) refuseForeignSysAdmin(by, before)
  const after: ListedUser = {
    ...before,
    email: change.email === undefined ? before.email : change.email,
    fullName: change.fullName === undefined ? before.fullName : change.fullName,
    enabled: change.enabled ?? before.enabled,
    isPlatformAdmin: change.isPlatformAdmin ?? before.isPlatformAdmin,
  }
  if (takesAway(change)) refuseLastAdmin(enabledAdmins, before, after)
  const isPromoted = after.isPlatformAdmin && !before.isPlatformAdmin && !before.isSysAdmin
  if (isPromoted && before.isServiceAccount && !by.isSysAdmin)
    throw new GatewayError('sysadmin_required', 'Only a SysAdmin may make a service account a PlatformAdmin')
  if (isPromoted) await endWaysIn(tx, before.id)
  if (!after.enabled) {
    await endSessionsOfUser(tx, before.id)
    await revokeLooseTokens(tx, before.id)
  }
  await updateUser(tx, after)
  return after
}

/** Creates a user. Rejects with `conflict` if the name is taken. */
export async function makeUser(
  { tx, record, actor }: Pick<Edit, 'tx' | 'record' | 'actor'>,
  user: Omit<Parameters<typeof insertUser>[1], 'createdBy'>,
): Promise<ListedUser> {
  const made = await insertUser(tx, { ...user, createdBy: actor.userId })
  await record({
    action: made.isServiceAccount ? 'service_account_created' : 'user_created',
    subject: `user:${made.id}`,
    after: made,
  })
  return made
}

/** Creates a user with a link by which they set their password. */
export async function inviteUser(
  edit: Edit,
  user: Omit<Parameters<typeof makeUser>[1], 'isServiceAccount'>,
  issueFirstAccess: IssueFirstAccess,
): Promise<{ user: ListedUser; firstAccess: FirstAccessLink }> {
  const made = await makeUser(edit, user)
  return { user: made, firstAccess: await issueFirstAccess(edit.tx, made.id, edit.actor.userId) }
}

/**
 * Changes the user of that id, and then calls `onChange` in the same transaction. Throws `not_found`,
 * `changed_meanwhile`, and as `changeUser` does.
 */
export async function editUser(
  edit: Edit,
  id: string,
  change: UserChange,
  onChange: (before: ListedUser, after: ListedUser) => Promise<void>,
): Promise<ListedUser> {
  const { tx, about, record, bySysAdmin, checkUnchanged } = edit
  const enabledAdmins = takesAway(change) ? await lockEnabledAdmins(tx) : []
  const before = found(await findUserForUpdate(tx, id))
  checkUnchanged(before)
  await about({ userId: before.id })
  const after = await changeUser(tx, { isSysAdmin: bySysAdmin }, before, change, enabledAdmins)
  await record({ action: 'user_changed', subject: `user:${before.id}`, before, after })
  await onChange(before, after)
  return after
}

/** Creates another link by which a user sets a password. Throws `not_found` and `sysadmin_required`. */
export async function issuePasswordLink(
  { tx, record, actor, bySysAdmin }: Edit,
  id: string,
  issueFirstAccess: IssueFirstAccess,
): Promise<FirstAccessLink> {
  const user = found(await findUserForUpdate(tx, id))
  refuseForeignSysAdmin({ isSysAdmin: bySysAdmin }, user)
  await record({ action: 'first_access_issued', subject: `user:${user.id}` })
  return await issueFirstAccess(tx, user.id, actor.userId)
}

const noLevel = { enabled: false, isSysAdmin: false, isPlatformAdmin: false }

/** Deletes the user of that id. Throws `not_found`, `sysadmin_required`, and `conflict` for the last of a level. */
export async function removeUser(edit: Edit, id: string): Promise<void> {
  const { tx, about, record, bySysAdmin, checkUnchanged } = edit
  const enabledAdmins = await lockEnabledAdmins(tx)
  const before = found(await findUserForUpdate(tx, id))
  checkUnchanged(before)
  refuseForeignSysAdmin({ isSysAdmin: bySysAdmin }, before)
  refuseLastAdmin(enabledAdmins, before, noLevel)
  await about({ userId: before.id })
  await deleteUser(tx, before.id)
  await record({ action: 'user_deleted', subject: `user:${before.id}`, before })
}

/**
 * Deletes a user, and erases the values about them in the audit, which keeps their id. Throws
 * `sysadmin_required`, and `conflict` for the last of a level and for the actor themself.
 */
export async function eraseUser(
  { tx, about, record, actor, bySysAdmin }: Edit,
  before: ListedUser,
  enabledAdmins: EnabledAdmin[],
): Promise<void> {
  refuseForeignSysAdmin({ isSysAdmin: bySysAdmin }, before)
  if (actor.userId === before.id) throw new GatewayError('conflict', reason('erases_yourself'))
  refuseLastAdmin(enabledAdmins, before, noLevel)
  await about({ userId: before.id })
  await deleteUser(tx, before.id)
  const values = await erasePersonalValues(tx, before.id)
  await record({ action: 'user_erased', subject: `user:${before.id}`, after: { values } })
}

/** As `eraseUser`, by id. Throws `not_found` and `changed_meanwhile`, too. */
export async function eraseUserById(edit: Edit, id: string): Promise<void> {
  const enabledAdmins = await lockEnabledAdmins(edit.tx)
  const before = found(await findUserForUpdate(edit.tx, id))
  edit.checkUnchanged(before)
  await eraseUser(edit, before, enabledAdmins)
}
