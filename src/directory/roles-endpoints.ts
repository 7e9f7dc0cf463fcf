import { z } from 'zod'
import { idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageFrom, positionOf } from '../http/endpoint/page.js'
import { id, label, search } from './fields.js'
import {
  changeEndpoint,
  createEndpoint,
  listEndpoint,
  removeEndpoint,
  showEndpoint,
} from './resource-endpoints.js'
import { findRole, listRoles } from './role-queries.js'
import { changeRole, makeRole, removeRole, showRole } from './roles.js'
import { ownMandate, platformScope, type AdminScope, type Governing } from './scope.js'

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

interface Collection {
  scope: AdminScope
  path: string
  title: string
  newRole: typeof newRole | typeof newOwnRole
}

const listThese = ({ scope: within, path, title }: Collection) =>
  listEndpoint({
    scope: within,
    path,
    summary: `List ${title} by label; q finds them by any part of it`,
    query: roleQuery,
    item: role,
    list: (sql, { query: { limit, cursor, ...filter } }, seenIn) =>
      listRoles(sql, {
        seenIn,
        scope: filter.scope,
        mandateId: filter.mandateId,
        instanceId: filter.instanceId,
        q: filter.q,
        after: decodePosition(cursor, 2),
        atMost: limit + 1,
      }),
    page: (rows, limit) => {
      const { items, nextCursor } = pageFrom(rows, limit, (one) => positionOf(one.label, one.id))
      return { items: items.map(showRole), nextCursor }
    },
  })

function endpointsOf(collection: Collection): Endpoint[] {
  const { scope: within, path, newRole: body } = collection
  const itemPath = `${path}/:id`
  const show = showEndpoint({
    scope: within,
    path: itemPath,
    summary: 'Show a role',
    item: role,
    find: async (sql, call) => {
      const one = await findRole(sql, idOf(call))
      return one && showRole(one)
    },
  })
  const create = createEndpoint({
    scope: within,
    path,
    summary: 'Make a role, without rules yet',
    body,
    fields: roleFields,
    create: async (edit, wanted) => showRole(await makeRole(edit, { mandateId: null, ...wanted })),
    location: (one) => `${path}/${one.id}`,
  })
  const change = changeEndpoint({
    scope: within,
    path: itemPath,
    summary: 'Call a role something else',
    body: roleChange,
    fields: roleFields,
    update: async (edit, call) => showRole(await changeRole(edit, idOf(call), call.body)),
  })
  const remove = removeEndpoint({
    scope: within,
    path: itemPath,
    summary: 'Delete a role with its rules; whoever had it has it no more',
    remove: (edit, call) => removeRole(edit, idOf(call)),
  })
  return [listThese(collection), show, create, change, remove]
}

/** Returns the endpoints of roles: of all for platform admins, of one mandate for its own admins. */
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
