import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { levels, ruleContexts } from '../domain/permissions.js'
import { endpoint, idOf, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch } from '../http/endpoint/etag.js'
import { decodePosition, pageFields, pageFrom, pageOf, positionOf } from '../http/endpoint/page.js'
import {
  answerChanged,
  answerCreated,
  answerDeleted,
  answerItem,
  changedAnswers,
  changeQuery,
  createdAnswers,
  deletedAnswers,
} from './change-endpoints.js'
import { found, given, id } from './fields.js'
import { ownMandate, platformScope, type Edit, type Governing, type AdminScope } from './scope.js'
import { concernOfRole, roleToChange } from './roles-endpoints.js'
import {
  deleteRule,
  findRule,
  findRuleForUpdate,
  insertRule,
  listRules,
  updateRule,
  type Rule,
} from './rule-queries.js'

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

/** Adds a rule to a role. Rejects with `conflict` where the role has one for the same context and item. */
export async function makeRule(edit: Edit, body: Omit<Rule, 'id'>): Promise<Rule> {
  const role = await roleToChange(edit, body.roleId)
  await edit.about(concernOfRole(role))
  const after = await insertRule(edit.tx, body)
  await edit.record({ mandateId: role.mandateId, action: 'rule_created', subject: `rule:${after.id}`, after })
  return after
}

interface Collection {
  scope: AdminScope
  path: string
  title: string
}

function readEndpoints({ scope: { access, see }, path, title }: Collection): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path,
      summary: `List ${title}, by role, context and item`,
      access,
      query: ruleQuery,
      answers: { 200: pageOf(rule) },
      handle: async (call) => {
        const { limit, cursor, ...filter } = call.query
        const rows = await see(call, (sql, seenIn) =>
          listRules(sql, {
            seenIn,
            roleId: filter.roleId,
            context: filter.context,
            item: filter.item,
            after: decodePosition(cursor, 3),
            atMost: limit + 1,
          }),
        )
        return {
          status: 200,
          body: pageFrom(rows, limit, (one) => positionOf(one.roleId, one.context, one.item ?? '')),
        }
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id`,
      summary: 'Show a rule',
      access,
      answers: { 200: rule },
      handle: async (call) => answerItem(found(await see(call, (sql) => findRule(sql, idOf(call))))),
    }),
  ]
}

function writeEndpoints({ scope: { access, change }, path }: Collection): Endpoint[] {
  const begin = async (edit: Edit, call: Call<unknown, unknown>) => {
    const before = found(await findRuleForUpdate(edit.tx, idOf(call)))
    const role = await roleToChange(edit, before.roleId)
    checkIfMatch(call.req, before)
    await edit.about(concernOfRole(role))
    return { before, role }
  }
  return [
    endpoint({
      method: 'post',
      path,
      summary: 'Add a rule to a role; what it gives or takes holds on all nodes when this answers',
      access,
      query: changeQuery,
      body: newRule,
      answers: createdAnswers(ruleFields),
      handle: async (call) =>
        answerCreated(await change(call, (edit) => makeRule(edit, call.body)), (one) => `${path}/${one.id}`),
    }),
    endpoint({
      method: 'patch',
      path: `${path}/:id`,
      summary: 'Change a rule',
      access,
      query: changeQuery,
      body: ruleChange,
      answers: changedAnswers(ruleFields),
      handle: async (call) =>
        answerChanged(
          await change(call, async (edit) => {
            const { before, role } = await begin(edit, call)
            const after = { ...before, ...given(call.body) }
            await updateRule(edit.tx, after)
            await edit.record({
              mandateId: role.mandateId,
              action: 'rule_changed',
              subject: `rule:${before.id}`,
              before,
              after,
            })
            return after
          }),
        ),
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id`,
      summary: 'Delete a rule',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async (edit) => {
            const { before, role } = await begin(edit, call)
            await deleteRule(edit.tx, before.id)
            await edit.record({
              mandateId: role.mandateId,
              action: 'rule_deleted',
              subject: `rule:${before.id}`,
              before,
            })
          }),
        ),
    }),
  ]
}

const endpointsOf = (collection: Collection) => [...readEndpoints(collection), ...writeEndpoints(collection)]

/**
 * Access rules: all of them for platform admins, and those of a mandate's own roles for those who govern it.
 */
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
