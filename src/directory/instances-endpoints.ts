import { z } from 'zod'
import { idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { decodePosition, pageFields, pageFrom, positionOf } from '../http/endpoint/page.js'
import { featureCode, flag, id, label, search } from './fields.js'
import { findInstance, listInstances } from './instance-queries.js'
import { changeInstance, makeInstance, removeInstance } from './instances.js'
import {
  changeEndpoint,
  createEndpoint,
  listEndpoint,
  removeEndpoint,
  showEndpoint,
} from './resource-endpoints.js'
import { ownMandate, platformScope, type AdminScope, type Governing } from './scope.js'

const instanceFields = {
  id: z.uuid(),
  mandateId: z.uuid(),
  featureCode: z.string(),
  label: z.string(),
  enabled: z.boolean(),
  createdAt: z.iso.datetime(),
}
const instance = z.strictObject(instanceFields).meta({ id: 'FeatureInstance' })
const newOwnInstance = z.strictObject({ featureCode, label, enabled: z.boolean().default(true) })
const newInstance = newOwnInstance.extend({ mandateId: id })
const instanceChange = z.strictObject({ label, enabled: z.boolean() }).partial()
const instanceQuery = z.strictObject({
  ...pageFields,
  q: search,
  mandateId: id.optional(),
  featureCode: featureCode.optional(),
  enabled: flag,
})

interface Collection {
  scope: AdminScope
  path: string
  title: string
  newInstance: typeof newInstance | typeof newOwnInstance
}

const listThese = ({ scope, path, title }: Collection) =>
  listEndpoint({
    scope,
    path,
    summary: `List ${title} by label; q finds them by any part of it`,
    query: instanceQuery,
    item: instance,
    list: (sql, { query: { limit, cursor, mandateId, ...filter } }, within) =>
      listInstances(sql, {
        mandateId: within ?? mandateId,
        featureCode: filter.featureCode,
        enabled: filter.enabled,
        q: filter.q,
        after: decodePosition(cursor, 2),
        atMost: limit + 1,
      }),
    page: (rows, limit) => pageFrom(rows, limit, (one) => positionOf(one.label, one.id)),
  })

function endpointsOf(collection: Collection): Endpoint[] {
  const { scope, path, newInstance: body } = collection
  const itemPath = `${path}/:id`
  const show = showEndpoint({
    scope,
    path: itemPath,
    summary: 'Show a feature instance',
    item: instance,
    find: (sql, call) => findInstance(sql, idOf(call)),
  })
  const create = createEndpoint({
    scope,
    path,
    summary: 'Install a feature in a mandate',
    body,
    fields: instanceFields,
    create: makeInstance,
    location: (one) => `${path}/${one.id}`,
  })
  const change = changeEndpoint({
    scope,
    path: itemPath,
    summary: 'Change a feature instance; when disabling it answers, no node lets anybody in any more',
    body: instanceChange,
    fields: instanceFields,
    update: (edit, call) => changeInstance(edit, idOf(call), call.body),
  })
  const remove = removeEndpoint({
    scope,
    path: itemPath,
    summary: 'Remove a feature instance with its roles and all access to it',
    remove: (edit, call) => removeInstance(edit, idOf(call)),
  })
  return [listThese(collection), show, create, change, remove]
}

/** Returns the endpoints of feature instances: of all for platform admins, of one mandate for its own admins. */
export function instanceEndpoints(governing: Governing): Endpoint[] {
  return [
    ...endpointsOf({
      scope: platformScope(governing),
      path: '/admin/instances',
      title: 'feature instances',
      newInstance,
    }),
    ...endpointsOf({
      scope: ownMandate(governing, 'gateway.instances'),
      path: '/mandate/instances',
      title: "a mandate's feature instances",
      newInstance: newOwnInstance,
    }),
  ]
}
