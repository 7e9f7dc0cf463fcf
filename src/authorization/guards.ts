import { type Reason } from '../domain/text-values.js'
import type { NextFunction, Request } from 'express'
import type { Action } from '../domain/permissions.js'
import type { AuditLog } from '../audit/audit-log.js'
import type { User } from '../coherence/directory.js'
import { GatewayError, type ErrorCode } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import type { Subject } from '../http/endpoint/policy.js'
import { permissionIn, type Permission } from './permissions.js'

/** The subject that the rules refused. */
export interface DeniedSubject {
  context: Subject['context']
  item: string
  action: Action | null
}

/** A guard of a platform level: who passes, and how the others are refused. */
interface LevelGuard {
  holds: (user: User) => boolean
  action: 'sysadmin_action' | 'platform_admin_action'
  description: string
  code: ErrorCode
  refusal: string
}

/** Where the uses of a guard are recorded. */
export type GuardAudit = Pick<AuditLog, 'record' | 'recordRefusal'>

function requireLevel(guard: LevelGuard, audit: GuardAudit): Middleware {
  return (req, _res, next) => {
    const user = req.state.principal?.user
    if (!user) throw new GatewayError('authentication_required', 'Not authenticated')
    const granted = guard.holds(user)
    const details = {
      description: guard.description,
      method: req.method,
      route: req.state.routePattern ?? null,
    }
    if (granted)
      audit.record({
        userId: user.id,
        mandateId: 'system',
        action: guard.action,
        details,
        requestId: req.state.id,
      })
    else {
      audit.recordRefusal({
        userId: user.id,
        mandateId: 'system',
        action: `${guard.action}_refused`,
        details,
        requestId: req.state.id,
      })
      req.state.isRefusalAudited = true
    }
    next(granted ? undefined : new GatewayError(guard.code, guard.refusal))
  }
}

/** The guards of the platform levels. */
export const levelGuards: Record<'sysAdmin' | 'platformAdmin', LevelGuard> = {
  sysAdmin: {
    holds: (user) => user.isSysAdmin,
    action: 'sysadmin_action',
    description: 'System-level operation',
    code: 'sysadmin_required',
    refusal: 'SysAdmin privileges required',
  },
  platformAdmin: {
    holds: (user) => user.isPlatformAdmin,
    action: 'platform_admin_action',
    description: 'Cross-mandate governance operation',
    code: 'platform_admin_required',
    refusal: 'Platform admin privileges required',
  },
}

/** Admits SysAdmins. Each use is audited, refusals too. It needs no mandate. */
export const requireSysAdmin = (audit: GuardAudit): Middleware => requireLevel(levelGuards.sysAdmin, audit)

/**
 * Admits PlatformAdmins. Each use is audited, refusals too. It needs no mandate, and gives access to no
 * mandate's data.
 */
export const requirePlatformAdmin = (audit: GuardAudit): Middleware =>
  requireLevel(levelGuards.platformAdmin, audit)

/** Returns the reason by which a permission is refused. Its text is made here: refusals must be cheap. */
const permissionReason = (action: string, context: string, item: string | null): Reason => ({
  code: 'not_permitted',
  values: { action, context, item: item ?? '' },
  text: `Permission denied: ${action} on ${context} ${item ?? ''}`.trimEnd(),
})

/** Returns the refusal of an action that no rule allows. */
export const permissionDenied = (wanted: string, context: string, item: string | null) =>
  new GatewayError('permission_denied', permissionReason(wanted, context, item))

/** The action of a method. A method that is not listed stands for none, and cannot be permitted. */
export const actionOfMethod: Readonly<Record<string, Action>> = {
  GET: 'read',
  HEAD: 'read',
  OPTIONS: 'read',
  POST: 'create',
  PUT: 'update',
  PATCH: 'update',
  DELETE: 'delete',
}

/**
 * Admits callers whose rules give any level to the subject's action (else the method's). The level is set on
 * the request.
 */
export function requirePermission({ context, item, action }: Subject): Middleware {
  const decide = (
    req: Request,
    next: NextFunction,
    wanted: Action | undefined,
    permission: Permission | undefined,
  ) => {
    const level = wanted && permission ? permission[wanted] : 'n'
    if (level === 'n') {
      req.state.deniedSubject = { context, item, action: wanted ?? null }
      throw permissionDenied(wanted ?? req.method, context, item)
    }
    req.state.accessLevel = level
    next()
  }
  return (req, _res, next) => {
    const wanted = action ?? actionOfMethod[req.method]
    const permission = req.state.context && permissionIn(req.state.context, context, item)
    if (permission instanceof Promise) return permission.then((loaded) => decide(req, next, wanted, loaded))
    decide(req, next, wanted, permission)
    return undefined
  }
}
