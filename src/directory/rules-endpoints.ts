import { z } from 'zod'
import { levels, ruleContexts } from '../domain/permissions.js'
import { fieldError } from '../domain/reasons.js'
import { idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageFrom, positionOf } from '../http/endpoint/page.js'
import { id } from './fields.js'
import {
  changeEndpoint,
  createEndpoint,
  listEndpoint,
  removeEndpoint,
  showEndpoint,
} from './resource-endpoints.js'
import { findRule, listRules } from './rule-queries.js'
import { changeRule, makeRule, removeRule } from './rules.js'
import { ownMandate, platformScope, type AdminScope, type Governing } from './scope.js'

const context = z.enum(ruleContexts, 'must be DATA, UI or RESOURCE')
const item = z
  .string()
  .max(500)
  .regex(/^[\w-]+(\.[\w-]+)*$/, fieldError('item_or_null', { example: 'crm.contacts' }))
  .nullable()
const level = z.enum(levels, fieldError('level'))
const permissionFields = { view: z.boolean(), read: level, create: level, update: level, delete: level }

const ruleFields = { id: z.uuid(), roleId: z.uuid(), context, item, ...permissionFields }
const rule = z.strictObject(ruleFields).meta({ id: 'AccessRule' })
const newRule = z.strictObject({
  roleId: id,
  context,
  item: item.default(null),
  view: z.boolean().default(false),
  read: level.default('n'),
  create: level.default('n'),
  update: level.default('n'),
  delete: level.default('n'),
})
const ruleChange = z.strictObject({ context, item, ...permissionFields }).partial()
const ruleQuery = z.strictObject({
  ...pageFields,
  roleId: id.optional(),
  context: context.optional(),
  item: z.string().max(500).optional().meta({ description: 'empty: rules for all items' }),
})

interface Collection {
  scope: AdminScope
  path: string
  title: string
}

const listThese = ({ scope, path, title }: Collection) =>
  listEndpoint({
    scope,
    path,
    summary: `List ${title}, by role, context and item`,
    query: ruleQuery,
    item: rule,
    list: (sql, { query: { limit, cursor, ...filter } }, seenIn) =>
      listRules(sql, {
        seenIn,
        roleId: filter.roleId,
        context: filter.context,
        item: filter.item,
        after: decodePosition(cursor, 3),
        atMost: limit + 1,
      }),
    page: (rows, limit) =>
      pageFrom(rows, limit, (one) => positionOf(one.roleId, one.context, one.item ?? '')),
  })

function endpointsOf(collection: Collection): Endpoint[] {
  const { scope, path } = collection
  const itemPath = `${path}/:id`
  const show = showEndpoint({
    scope,
    path: itemPath,
    summary: 'Show a rule',
    item: rule,
    find: (sql, call) => findRule(sql, idOf(call)),
  })
  const create = createEndpoint({
    scope,
    path,
    summary: 'Add a rule to a role; what it gives or takes holds on all nodes when this answers',
    body: newRule,
    fields: ruleFields,
    create: makeRule,
    location: (one) => `${path}/${one.id}`,
  })
  const change = changeEndpoint({
    scope,
    path: itemPath,
    summary: 'Change a rule',
    body: ruleChange,
    fields: ruleFields,
    update: (edit, call) => changeRule(edit, idOf(call), call.body),
  })
  const remove = removeEndpoint({
    scope,
    path: itemPath,
    summary: 'Delete a rule',
    remove: (edit, call) => removeRule(edit, idOf(call)),
  })
  return [listThese(collection), show, create, change, remove]
}

/** Returns the endpoints of access rules: of all for platform admins, of one mandate's roles for its own admins. */
export function ruleEndpoints(governing: Governing): Endpoint[] {
  return [
    ...endpointsOf({ scope: platformScope(governing), path: '/admin/rules', title: 'rules' }),
    ...endpointsOf({
      scope: ownMandate(governing, 'gateway.roles'),
      path: '/mandate/rules',
      title: "the rules of a mandate's roles, and of the global ones",
    }),
  ]
}
