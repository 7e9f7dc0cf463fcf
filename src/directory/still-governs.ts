import type { Action } from '../domain/permissions.js'
import { actionOfMethod } from '../authorization/guards.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { Tx } from '../database/connect.js'
import type { MandateTx } from '../database/mandate.js'
import type { Caller } from './caller.js'
import { lockMandate } from './authority-queries.js'
import { findDelegatedAdmin, refuseUnpermitted, type DelegatedAdmin } from './delegated-admin.js'

/** Returns whether a request changes something. */
export const isChange = ({ method }: Pick<Caller, 'method'>) => method !== 'GET' && method !== 'HEAD'

/**
 * Begins a change in a mandate, before it is entered. Throws `sysadmin_required` for a SysAdmin who lost the
 * level.
 */
export async function beginAsGovernor(
  tx: Tx,
  { state: { principal } }: Pick<Caller, 'state'>,
): Promise<void> {
  if (principal?.user.isSysAdmin === true) await beginAsAdmin(tx, principal.user, 'sysAdmin')
}

interface RequiredPermission {
  mandateId: string
  instanceId: string | null
  item: string
  action?: Action
}

/**
 * Returns who makes a change in a mandate that has been entered, by its rules at that moment: a caller who
 * lost the permission while the request waited changes nothing. Returns undefined for a SysAdmin, whom no
 * rule binds. Throws `permission_denied`.
 */
export async function findGovernor(
  inside: MandateTx,
  { method, state: { principal } }: Pick<Caller, 'method' | 'state'>,
  { mandateId, instanceId, item, action = actionOfMethod[method] ?? 'delete' }: RequiredPermission,
): Promise<DelegatedAdmin | undefined> {
  await lockMandate(inside, mandateId)
  if (principal?.user.isSysAdmin === true) return undefined
  const delegatedAdmin = await findDelegatedAdmin(inside, principal?.user.id ?? '', mandateId)
  refuseUnpermitted(delegatedAdmin, instanceId, item, action)
  return delegatedAdmin
}
