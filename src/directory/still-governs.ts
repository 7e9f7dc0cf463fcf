import type { Request } from 'express'
import type { Action } from '../domain/permissions.js'
import { actionOfMethod } from '../authorization/guards.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { Tx } from '../database/connect.js'
import type { MandateTx } from '../database/mandate.js'
import { lockMandate } from './authority-queries.js'
import { findDelegatedAdmin, refuseUnpermitted, type DelegatedAdmin } from './delegated-admin.js'

/** Whether a request changes something. */
export const isChange = ({ method }: Request) => method !== 'GET' && method !== 'HEAD'

/**
 * Begins a change in a mandate, before it is entered: a SysAdmin still is one. Throws `sysadmin_required`.
 */
export async function beginAsGovernor(tx: Tx, { state: { principal } }: Request): Promise<void> {
  if (principal?.user.isSysAdmin === true) await beginAsAdmin(tx, principal.user, 'sysAdmin')
}

interface Asked {
  mandateId: string
  instanceId: string | null
  item: string
  action?: Action
}

/**
 * Who makes a change in a mandate that has been entered, as its rules stand by then: whoever has lost what
 * the request was let in with, while it waited, changes nothing. Undefined for a SysAdmin, whom no rule
 * binds. Throws `permission_denied`.
 */
export async function findGovernor(
  inside: MandateTx,
  { method, state: { principal } }: Request,
  { mandateId, instanceId, item, action = actionOfMethod[method] ?? 'delete' }: Asked,
): Promise<DelegatedAdmin | undefined> {
  await lockMandate(inside, mandateId)
  if (principal?.user.isSysAdmin === true) return undefined
  const delegatedAdmin = await findDelegatedAdmin(inside, principal?.user.id ?? '', mandateId)
  refuseUnpermitted(delegatedAdmin, instanceId, item, action)
  return delegatedAdmin
}
