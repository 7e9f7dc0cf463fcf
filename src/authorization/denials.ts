import type { Request } from 'express'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { hourMs } from '../domain/time.js'
import { actions, levels, ruleContexts, type Action, type RuleContext } from '../domain/permissions.js'
import type { AuditLog } from '../audit/audit-log.js'
import { isOfAssurance } from './require-assurance.js'
import { statusOf, type GatewayError } from '../errors.js'
import type { PrioritisedRule } from '../context/request-context.js'
import type { AuditedDenial } from './explain-queries.js'
import { levelGuards } from './guards.js'
import { decide } from './permissions.js'

/** The reason of a 403, or of a 401 for a weak proof. */
export interface Denial {
  requestId: string
  at: Date
  userId: string
  /** The mandate that the request had entered, or belonged to; `system` without one. */
  mandateId: string
  method: string
  route: string | null
  code: string
  detail: string
  subject: { context: RuleContext; item: string | null; action: Action | null } | null
  deciding: PrioritisedRule[]
  /** What a policy asked, and what the session lacked. */
  policy: DeniedPolicy | null
}

/** What a policy asked of a session that it refused. */
type DeniedPolicy = z.infer<typeof deniedPolicy>

/** The refusals of this node, as long as they can be explained. */
export interface Denials {
  /** Stores a refusal of a signed-in user, here and in the audit. It ignores other failures. */
  note: (req: Request, error: GatewayError) => void
  /** Returns the refusals of a request, newest first. Callers choose request ids, so there may be several. */
  find: (requestId: string) => Denial[]
}

const level = z.enum(levels)
const deniedPolicy = z.object({
  scope: z.enum(['mandate', 'item', 'route', 'admin', 'system', 'account']),
  missing: z.enum(['session', 'idle', 'factor', 'age']),
})

/** Returns what a policy asked, from the members of the refusal. */
function policyOf({ members }: GatewayError): DeniedPolicy | null {
  const read = deniedPolicy.safeParse(members)
  return read.success ? read.data : null
}
const explainedForMs = hourMs
const maxDenials = 10_000
const maxOfOneRequest = 5
/** Most rules in an event. */
const maxRules = 20

/** Codes that only members of a mandate get. Its admins may see them. */
const ofMandate = new Set(['membership_disabled', 'mandate_disabled', 'feature_access_disabled'])
const guardCodes = new Set(['sysadmin_required', 'platform_admin_required'])

function mandateOf(req: Request, code: string): string {
  return (
    req.state.context?.mandateId ??
    (ofMandate.has(code) ? req.state.requestedPlace?.mandateId : undefined) ??
    'system'
  )
}

/** A refusal for one's own account is answered by proving again, and nobody else's matter. */
const isExplained = ({ code, members }: GatewayError) =>
  statusOf(code) === 403 || (code === 'insufficient_user_authentication' && members?.scope !== 'account')

/** Creates the store of refusals. Granted requests do not use it. */
export function rememberDenials({ audit }: { audit: Pick<AuditLog, 'recordRefusal'> }): Denials {
  const known = new LRUCache<string, Denial[]>({ max: maxDenials, ttl: explainedForMs })

  const keep = (req: Request, denial: Denial) => {
    known.set(denial.requestId, [denial, ...(known.get(denial.requestId) ?? [])].slice(0, maxOfOneRequest))
    if (guardCodes.has(denial.code) && req.state.isRefusalAudited) return
    const { userId, mandateId, requestId, method, route, code, detail, subject, deciding, policy } = denial
    audit.recordRefusal({
      userId,
      mandateId,
      requestId,
      action: isOfAssurance(code) ? 'assurance_refused' : 'access_denied',
      details: {
        method,
        route,
        code,
        detail,
        subject,
        deciding: deciding.slice(0, maxRules),
        ...(policy ? { policy } : {}),
        address: req.state.clientAddress,
      },
    })
  }

  return {
    note: (req, error) => {
      const user = req.state.principal?.user
      if (!user || !isExplained(error)) return
      const { deniedSubject } = req.state
      const isOfRules = error.code === 'permission_denied' && deniedSubject !== undefined
      const denial: Denial = {
        requestId: req.state.id,
        at: new Date(),
        userId: user.id,
        mandateId: mandateOf(req, error.code),
        method: req.method,
        route: req.state.routePattern ?? null,
        code: error.code,
        detail: error.detail,
        subject: isOfRules ? deniedSubject : null,
        deciding: [],
        policy: policyOf(error),
      }
      const rules = isOfRules ? (req.state.context?.rules() ?? []) : []
      if (!isOfRules) keep(req, denial)
      else
        void Promise.resolve(rules).then(
          (loaded) =>
            keep(req, {
              ...denial,
              deciding: decide(loaded, deniedSubject.context, deniedSubject.item).deciding,
            }),
          () => keep(req, denial),
        )
    },
    find: (requestId) => known.get(requestId) ?? [],
  }
}

const ruleSchema = z.object({
  priority: z.union([z.literal(1), z.literal(2), z.literal(3)]),
  rule: z.object({
    roleId: z.string(),
    roleMandateId: z.string().nullable(),
    roleInstanceId: z.string().nullable(),
    context: z.enum(ruleContexts),
    item: z.string().nullable(),
    view: z.boolean(),
    read: level,
    create: level,
    update: level,
    delete: level,
  }),
})
const audited = z.object({
  method: z.string(),
  route: z.string().nullable(),
  code: z.string().optional(),
  detail: z.string().optional(),
  subject: z
    .object({
      context: z.enum(ruleContexts),
      item: z.string().nullable(),
      action: z.enum(actions).nullable(),
    })
    .nullable()
    .default(null),
  deciding: z.array(ruleSchema).default([]),
  policy: deniedPolicy.nullable().default(null),
})

/** Returns a refusal in the form of the audit, which all nodes share. */
export function denialFrom(
  requestId: string,
  { occurredAt, userId, mandateId, action, details }: AuditedDenial,
): Denial | undefined {
  const read = audited.safeParse(details)
  if (!read.success) return undefined
  const guard =
    action === 'sysadmin_action_refused'
      ? levelGuards.sysAdmin
      : action === 'platform_admin_action_refused'
        ? levelGuards.platformAdmin
        : undefined
  const {
    method,
    route,
    code = guard?.code ?? '',
    detail = guard?.refusal ?? '',
    subject,
    deciding,
    policy,
  } = read.data
  return {
    requestId,
    at: occurredAt,
    userId,
    mandateId,
    method,
    route,
    code,
    detail,
    subject,
    deciding,
    policy,
  }
}
