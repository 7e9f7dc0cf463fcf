import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { levels, ruleContexts } from '../domain/permissions.js'
import { permissionIn, type Permission } from '../authorization/permissions.js'
import type { RequestContext } from '../context/request-context.js'
import type { Sql } from '../database/connect.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { signedIn, signedInSomewhere } from '../http/endpoint/policy.js'
import { listMemberships } from './membership-queries.js'
import { userSchema } from './schemas.js'

const named = { id: z.uuid(), label: z.string() }
const role = z.strictObject(named)
const me = z.strictObject({
  user: userSchema,
  memberships: z.array(
    z.strictObject({
      mandate: z.strictObject({ ...named, slug: z.string(), enabled: z.boolean() }),
      enabled: z.boolean(),
      roles: z.array(role),
      instances: z.array(
        z.strictObject({
          ...named,
          featureCode: z.string(),
          enabled: z.boolean(),
          accessEnabled: z.boolean(),
          roles: z.array(role),
        }),
      ),
    }),
  ),
})

const level = z.enum(levels).meta({ description: 'none, my own, my group, all' })
const ruleContext = z.enum(ruleContexts, 'must be DATA, UI or RESOURCE')
const permissionFields = { view: z.boolean(), read: level, create: level, update: level, delete: level }
const item = z
  .string()
  .max(500)
  .regex(/^[\w-]+(\.[\w-]+)*$/, fieldError('item', { example: 'crm.contacts' }))

const contextAnswer = z.strictObject({
  user: userSchema,
  mandateId: z.uuid().nullable(),
  featureInstanceId: z.uuid().nullable(),
  roleIds: z.array(z.uuid()),
  isSysAdmin: z.boolean(),
  isPlatformAdmin: z.boolean(),
  rules: z.array(
    z.strictObject({
      priority: z.literal([1, 2, 3]),
      roleId: z.uuid(),
      context: ruleContext,
      item: z.string().nullable(),
      ...permissionFields,
    }),
  ),
})

const permissionQuery = z.strictObject({
  context: ruleContext,
  item: z.preprocess((value) => (value === '' ? undefined : value), item.optional()),
})
const permissionAnswer = z.strictObject({
  context: ruleContext,
  item: z.string().nullable(),
  ...permissionFields,
})

async function showContext(context: RequestContext) {
  const rules = await context.rules()
  return {
    user: context.user,
    mandateId: context.mandateId,
    featureInstanceId: context.featureInstanceId,
    roleIds: context.roleIds,
    isSysAdmin: context.isSysAdmin,
    isPlatformAdmin: context.isPlatformAdmin,
    rules: rules.map(
      ({ priority, rule: { roleMandateId: _mandate, roleInstanceId: _instance, ...rule } }) => ({
        priority,
        ...rule,
      }),
    ),
  }
}

/** What callers may know of themselves: who they are, where, and what they may do there. */
export function myselfEndpoints({ sql }: { sql: Sql }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/auth/me',
      summary: 'Who is calling, and where they are a member',
      access: signedIn,
      answers: { 200: me },
      handle: async ({ req: { state } }) => {
        const { user } = state.requirePrincipal()
        return { status: 200, body: { user, memberships: await listMemberships(sql, user.id) } }
      },
    }),
    endpoint({
      method: 'get',
      path: '/auth/context',
      summary: 'The context of this request: mandate, instance, roles and rules',
      access: signedInSomewhere,
      answers: { 200: contextAnswer },
      handle: async ({ req }) => ({ status: 200, body: await showContext(req.state.requireContext()) }),
    }),
    endpoint({
      method: 'get',
      path: '/auth/permissions',
      summary: 'What the caller may do with an item in the context of this request',
      access: signedInSomewhere,
      query: permissionQuery,
      answers: { 200: permissionAnswer },
      handle: ({ req, query: { context, item = null } }) => {
        const answer = (permission: Permission) => ({ status: 200, body: { context, item, ...permission } })
        const permission = permissionIn(req.state.requireContext(), context, item)
        return permission instanceof Promise ? permission.then(answer) : answer(permission)
      },
    }),
  ]
}
