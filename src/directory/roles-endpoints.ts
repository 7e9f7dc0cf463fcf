import { reason } from '../domain/reasons.js'
import { z } from 'zod'
import { GatewayError } from '../errors.js'
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
import { found, id, invalid, label, search } from './fields.js'
import { findInstance } from './instance-queries.js'
import { findMandate } from './mandate-queries.js'
import { ownMandate, platformScope, type Edit, type Governing, type AdminScope } from './scope.js'
import {
  deleteRole,
  findRole,
  findRoleForUpdate,
  insertRole,
  listRoles,
  setRoleLabel,
  type Role,
} from './role-queries.js'

const scope = z.enum(['global', 'mandate', 'instance'], 'must be global, mandate or instance')
const roleFields = {
  id: z.uuid(),
  label: z.string(),
  scope,
  mandateId: z.uuid().nullable(),
  featureInstanceId: z.uuid().nullable(),
  createdAt: z.iso.datetime(),
}
const role = z.strictObject(roleFields).meta({ id: 'Role' })
const newRole = z.strictObject({
  label,
  mandateId: id.nullable().default(null),
  featureInstanceId: id.nullable().default(null),
})
const newOwnRole = newRole.omit({ mandateId: true })
const roleChange = z.strictObject({ label }).partial()
const roleQuery = z.strictObject({
  ...pageFields,
  q: search,
  scope: scope.optional(),
  mandateId: id.optional(),
  instanceId: id.optional(),
})

const shown = (one: Role) => ({
  ...one,
  scope: one.featureInstanceId === null ? (one.mandateId === null ? 'global' : 'mandate') : 'instance',
})

/** The role, if it may be changed here: from within a mandate global ones are seen and not touched. */
export async function roleToChange({ tx, mandateId }: Edit, roleId: string): Promise<Role> {
  const one = found(await findRoleForUpdate(tx, roleId))
  if (mandateId !== undefined && one.mandateId === null)
    throw new GatewayError('permission_denied', reason('role_global'))
  return one
}

/** What a change of a role's rules concerns: whoever holds it, and what it gives by itself. */
export const concernOfRole = ({ id: roleId, featureInstanceId }: Role, after = [roleId]) => ({
  roleId,
  grants: [{ instanceId: featureInstanceId, before: [roleId], after }],
})

/** Makes a role without rules. Rejects with `not_found` where there is no such mandate or instance. */
export async function makeRole(
  { tx, mandateId: within, record }: Pick<Edit, 'tx' | 'mandateId' | 'record'>,
  body: z.infer<typeof newRole>,
): Promise<Role> {
  const instance =
    body.featureInstanceId === null ? undefined : found(await findInstance(tx, body.featureInstanceId))
  const mandateId = within ?? instance?.mandateId ?? body.mandateId
  if (body.mandateId !== null && body.mandateId !== mandateId)
    throw invalid('mandateId', reason('not_mandate_of_instance'))
  if (within === undefined && mandateId !== null) found(await findMandate(tx, mandateId))
  const made = await insertRole(tx, {
    label: body.label,
    mandateId,
    featureInstanceId: body.featureInstanceId,
  })
  await record({ mandateId, action: 'role_created', subject: `role:${made.id}`, after: made })
  return made
}

interface Collection {
  scope: AdminScope
  path: string
  title: string
  newRole: typeof newRole | typeof newOwnRole
}

function readEndpoints({ scope: { access, see }, path, title }: Collection): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path,
      summary: `List ${title} by label; q finds them by any part of it`,
      access,
      query: roleQuery,
      answers: { 200: pageOf(role) },
      handle: async (call) => {
        const { limit, cursor, ...filter } = call.query
        const rows = await see(call, (sql, seenIn) =>
          listRoles(sql, {
            seenIn,
            scope: filter.scope,
            mandateId: filter.mandateId,
            instanceId: filter.instanceId,
            q: filter.q,
            after: decodePosition(cursor, 2),
            atMost: limit + 1,
          }),
        )
        const { items, nextCursor } = pageFrom(rows, limit, (one) => positionOf(one.label, one.id))
        return { status: 200, body: { items: items.map(shown), nextCursor } }
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id`,
      summary: 'Show a role',
      access,
      answers: { 200: role },
      handle: async (call) => answerItem(shown(found(await see(call, (sql) => findRole(sql, idOf(call)))))),
    }),
  ]
}

function writeEndpoints({ scope: { access, change }, path, newRole: body }: Collection): Endpoint[] {
  const begin = async (edit: Edit, call: Call<unknown, unknown>) => {
    const before = await roleToChange(edit, idOf(call))
    checkIfMatch(call.req, shown(before))
    return before
  }
  return [
    endpoint({
      method: 'post',
      path,
      summary: 'Make a role, without rules yet',
      access,
      query: changeQuery,
      body,
      answers: createdAnswers(roleFields),
      handle: async (call) =>
        answerCreated(
          await change(call, async (edit) => shown(await makeRole(edit, { mandateId: null, ...call.body }))),
          (one) => `${path}/${one.id}`,
        ),
    }),
    endpoint({
      method: 'patch',
      path: `${path}/:id`,
      summary: 'Call a role something else',
      access,
      query: changeQuery,
      body: roleChange,
      answers: changedAnswers(roleFields),
      handle: async (call) =>
        answerChanged(
          await change(call, async (edit) => {
            const before = await begin(edit, call)
            const after = { ...before, label: call.body.label ?? before.label }
            await setRoleLabel(edit.tx, before.id, after.label)
            await edit.record({
              mandateId: before.mandateId,
              action: 'role_changed',
              subject: `role:${before.id}`,
              before,
              after,
            })
            return shown(after)
          }),
        ),
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id`,
      summary: 'Delete a role with its rules; whoever had it has it no more',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async (edit) => {
            const before = await begin(edit, call)
            await edit.about(concernOfRole(before, []))
            await deleteRole(edit.tx, before.id)
            await edit.record({
              mandateId: before.mandateId,
              action: 'role_deleted',
              subject: `role:${before.id}`,
              before,
            })
          }),
        ),
    }),
  ]
}

const endpointsOf = (collection: Collection) => [...readEndpoints(collection), ...writeEndpoints(collection)]

/** Roles: all of them for platform admins, and a mandate's own for those who govern it. */
export function roleEndpoints(governing: Governing): Endpoint[] {
  return [
    ...endpointsOf({ scope: platformScope(governing), path: '/admin/roles', title: 'roles', newRole }),
    ...endpointsOf({
      scope: ownMandate(governing, 'gateway.roles'),
      path: '/mandate/roles',
      title: "a mandate's roles, and the global ones,",
      newRole: newOwnRole,
    }),
  ]
}
