import { type Reason } from '../domain/text-values.js'
import { fieldError, reason } from '../domain/reasons.js'
import { z } from 'zod'
import { askedFactors } from '../domain/assurance-policy.js'
import { actions, levels, ruleContexts } from '../domain/permissions.js'
import type { Directory } from '../coherence/directory.js'
import type { PrioritisedRule } from '../context/request-context.js'
import type { Database, Sql } from '../database/connect.js'
import { inMandate } from '../database/mandate.js'
import { GatewayError, faultAt } from '../errors.js'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint/endpoint.js'
import { mandateAdmins, platformAdmins, type Policy } from '../http/endpoint/policy.js'
import { denialFrom, type Denial, type Denials } from './denials.js'
import { explainAccess, whatWouldHelp, type Question } from './explain.js'
import {
  findSessionToExplain,
  findUserToExplain,
  listAuditedDenials,
  listRoleLabels,
  seesInstance,
} from './explain-queries.js'
import { actionOfMethod } from './guards.js'

const level = z.enum(levels)
const action = z.enum(actions, 'must be read, create, update or delete')
const context = z.enum(ruleContexts, 'must be DATA, UI or RESOURCE')
const id = z.uuid('must be a UUID').transform((value) => value.toLowerCase())

const explainedRule = z
  .strictObject({
    priority: z
      .int()
      .meta({ description: '1 of a global role, 2 of a role of the mandate, 3 of a role of the instance' }),
    roleId: z.uuid(),
    roleLabel: z.string().nullable(),
    context,
    item: z.string().nullable(),
    view: z.boolean(),
    read: level,
    create: level,
    update: level,
    delete: level,
  })
  .meta({ id: 'ExplainedRule' })
const subject = z.strictObject({ context, item: z.string().nullable(), action: action.nullable() })
const refusal = z.strictObject({ status: z.int(), code: z.string(), detail: z.string() })

const seconds = z.number().nullable()
const explainedPolicy = z
  .strictObject({
    scope: z.enum(['mandate', 'item', 'route', 'admin', 'system', 'account']),
    missing: z.enum(['session', 'idle', 'factor', 'age']),
    required: z.strictObject({
      factor: z.enum(askedFactors).nullable(),
      maxAge: seconds,
      idle: seconds,
      sessionAge: seconds,
    }),
  })
  .meta({ id: 'ExplainedPolicy' })

const explanation = z
  .strictObject({
    allowed: z.boolean(),
    refusal: refusal.nullable().meta({ description: 'what the caller is answered' }),
    decidedBy: z.enum([
      'public',
      'account',
      'place',
      'guard',
      'sysadmin',
      'rules',
      'assurance',
      'nothing_asked',
      'route',
    ]),
    user: z.strictObject({ id: z.uuid(), username: z.string() }),
    mandateId: z.uuid().nullable(),
    instanceId: z.uuid().nullable(),
    route: z.string().nullable(),
    enforced: z
      .boolean()
      .meta({ description: 'false on a route with decide: watch: the request is sent on all the same' }),
    policy: explainedPolicy.nullable().meta({ description: 'what a policy asks, where one decided' }),
    roleIds: z.array(z.uuid()),
    subject: subject.nullable(),
    level: level.nullable(),
    rule: explainedRule.nullable().meta({ description: 'the rule that decided' }),
    deciding: z.array(explainedRule).meta({ description: 'all that were merged' }),
    overruled: z.array(explainedRule).meta({
      description:
        'rules about the item that did not count: of a lower priority, or less specific than another of their role',
    }),
    toChange: z.array(z.string()),
  })
  .meta({ id: 'Explanation' })

const explainedDenial = z
  .strictObject({
    requestId: z.string(),
    at: z.iso.datetime(),
    userId: z.uuid(),
    username: z
      .string()
      .nullable()
      .meta({ description: 'null for one who is gone, or whom the caller may not see' }),
    mandateId: z.string(),
    method: z.string(),
    route: z.string().nullable(),
    refusal,
    policy: explainedPolicy.partial({ required: true }).nullable(),
    subject: subject.nullable(),
    rule: explainedRule.nullable(),
    deciding: z.array(explainedRule),
    toChange: z.array(z.string()),
  })
  .meta({ id: 'ExplainedDenial' })

const question = z
  .strictObject({
    user: z.string().min(1).max(256).meta({ description: 'the id or the exact username' }),
    mandate: id.optional(),
    instance: id.optional(),
    session: id
      .optional()
      .meta({ description: 'a session of the user, to be judged by policies; without it none is' }),
    context: context.optional(),
    item: z.string().min(1).max(500).nullable().optional(),
    action: action.optional(),
    method: z
      .string()
      .regex(/^[A-Za-z]{1,20}$/, fieldError('method', { example: 'GET' }))
      .transform((value) => value.toUpperCase())
      .optional(),
    path: z.string().min(1).max(4000).optional(),
    host: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .meta({ description: 'the host of the request, for routes that are there for some hosts only' }),
  })
  .refine(
    (asked) =>
      (asked.context !== undefined && asked.action !== undefined) !==
      (asked.method !== undefined && asked.path !== undefined),
    { path: ['context'], ...fieldError('item_or_path') },
  )
type Asked = z.infer<typeof question>

/** Returns the policy for a path, or the refusal when nothing matches. */
export type FindPolicy = (
  method: string,
  path: string,
  host?: string,
) => { route: string; policy: Policy } | { refusal: z.infer<typeof refusal> }

interface Dependencies {
  database: Database
  directory: Directory
  denials: Denials
  findPolicy: FindPolicy
}

const anywhere: Policy = { auth: 'required', mandate: 'optional', instance: 'optional' }
const invalid = (path: string, why: Reason) =>
  new GatewayError('validation_failed', 'The body is not valid', { errors: [faultAt(path, why)] })

function questionOf(
  { context: of, item = null, action: does, method, path, host, mandate, instance }: Asked,
  user: Question['user'],
  findPolicy: FindPolicy,
) {
  const place = { mandateId: mandate, instanceId: instance }
  if (of !== undefined && does !== undefined)
    return {
      route: null,
      question: { user, place, policy: anywhere, subject: { context: of, item, action: does } },
    }
  const found = findPolicy(method ?? '', path ?? '', host)
  if ('refusal' in found) return found
  const { policy, route } = found
  if (policy.auth === 'portal') throw invalid('path', reason('portal_path'))
  const asked = policy.permission && {
    context: policy.permission.context,
    item: policy.permission.item,
    action: policy.permission.action ?? actionOfMethod[method ?? ''],
  }
  return { route, question: { user, place, policy, subject: asked, method } }
}

async function shownRules(sql: Sql, rules: PrioritisedRule[]): Promise<z.infer<typeof explainedRule>[]> {
  const labels = await listRoleLabels(sql, [...new Set(rules.map(({ rule }) => rule.roleId))])
  return rules.map(
    ({ priority, rule: { roleId, context: of, item, view, read, create, update, delete: remove } }) => ({
      priority,
      roleId,
      roleLabel: labels.get(roleId) ?? null,
      context: of,
      item,
      view,
      read,
      create,
      update,
      delete: remove,
    }),
  )
}

async function answerQuestion(
  sql: Sql,
  asked: Asked,
  { directory, findPolicy }: Dependencies,
): Promise<Answer> {
  const user = await findUserToExplain(sql, asked.user)
  if (!user) throw new GatewayError('not_found', 'There is no such user')
  const shown = {
    user: { id: user.id, username: user.username },
    mandateId: asked.mandate ?? null,
    instanceId: asked.instance ?? null,
  }
  const made = questionOf(asked, user, findPolicy)
  if ('refusal' in made) {
    return {
      status: 200,
      body: {
        ...shown,
        allowed: false,
        refusal: made.refusal,
        decidedBy: 'route',
        policy: null,
        route: null,
        enforced: true,
        roleIds: [],
        subject: null,
        level: null,
        rule: null,
        deciding: [],
        overruled: [],
        toChange: [],
      },
    }
  }
  const session = asked.session && (await findSessionToExplain(sql, user.id, asked.session))
  if (asked.session !== undefined && !session)
    throw new GatewayError('not_found', 'The user has no such session')
  const found = await explainAccess({ ...made.question, session: session || undefined }, directory)
  const [deciding, overruled] = [
    await shownRules(sql, found.deciding),
    await shownRules(sql, found.overruled),
  ]
  const { subject: about } = made.question
  return {
    status: 200,
    body: {
      ...shown,
      route: made.route,
      enforced: made.question.policy.decide !== 'watch',
      ...found,
      deciding,
      overruled,
      rule: deciding[0] ?? null,
      subject: about ? { ...about, action: about.action ?? null } : null,
      toChange: whatWouldHelp(found, about),
    },
  }
}

async function answerDenial(sql: Sql, requestId: string, here: Denial[]): Promise<Answer> {
  const denial =
    here[0] ??
    (await listAuditedDenials(sql, requestId))
      .map((event) => denialFrom(requestId, event))
      .find((one) => one !== undefined)
  if (!denial)
    throw new GatewayError('not_found', 'No refusal of this request is known: they are kept for an hour')
  const { code, detail, deciding, subject: about, ...rest } = denial
  const shown = await shownRules(sql, deciding)
  const refused = { status: code === 'insufficient_user_authentication' ? 401 : 403, code, detail }
  const toChange = whatWouldHelp(
    { refusal: refused, deciding },
    about ? { ...about, action: about.action ?? undefined } : undefined,
  )
  const user = await findUserToExplain(sql, denial.userId)
  return {
    status: 200,
    body: {
      ...rest,
      username: user?.username ?? null,
      refusal: refused,
      subject: about,
      rule: shown[0] ?? null,
      deciding: shown,
      toChange,
    },
  }
}

/** Endpoints that explain a decision, to those who govern the platform or one mandate. */
export function explainEndpoints(dependencies: Dependencies): Endpoint[] {
  const { database, denials } = dependencies
  const placeOf = (mandateId: string | null | undefined) => {
    if (!mandateId) throw new Error('an endpoint of a mandate was reached without one')
    return mandateId
  }
  return [
    endpoint({
      method: 'post',
      path: '/admin/explain',
      summary: 'Say whether a user may do something somewhere, what decided, and what would have to change',
      access: platformAdmins,
      body: question,
      answers: { 200: explanation },
      handle: ({ body }) => answerQuestion(database, body, dependencies),
    }),
    endpoint({
      method: 'get',
      path: '/admin/explain/:requestId',
      summary: 'Say why a request of the last hour was refused',
      access: platformAdmins,
      answers: { 200: explainedDenial },
      handle: ({ params: { requestId = '' } }) => answerDenial(database, requestId, denials.find(requestId)),
    }),
    endpoint({
      method: 'post',
      path: '/mandate/explain',
      summary:
        'Say whether a member may do something in this mandate, what decided, and what would have to change',
      access: mandateAdmins('gateway.roles', 'read'),
      body: question,
      answers: { 200: explanation },
      handle: ({ req, body }) => {
        const mandate = placeOf(req.state.context?.mandateId)
        if (body.mandate !== undefined && body.mandate !== mandate)
          throw invalid('mandate', reason('other_mandate'))
        return database.transaction((tx) =>
          inMandate(tx, mandate, async (inside) => {
            if (body.instance !== undefined && !(await seesInstance(inside, body.instance)))
              throw new GatewayError('not_found', 'There is no such feature instance')
            return await answerQuestion(inside, { ...body, mandate }, dependencies)
          }),
        )
      },
    }),
    endpoint({
      method: 'get',
      path: '/mandate/explain/:requestId',
      summary: 'Say why a request of the last hour in this mandate was refused',
      access: mandateAdmins('gateway.roles', 'read'),
      answers: { 200: explainedDenial },
      handle: ({ req, params: { requestId = '' } }) => {
        const mandate = placeOf(req.state.context?.mandateId)
        return database.transaction((tx) =>
          inMandate(tx, mandate, (inside) =>
            answerDenial(
              inside,
              requestId,
              denials.find(requestId).filter((one) => one.mandateId === mandate),
            ),
          ),
        )
      },
    }),
  ]
}
