import { z } from 'zod'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import { decodeCursor, pageFields, pageFrom } from '../http/endpoint/page.js'
import { findFeature, listFeatures } from './feature-queries.js'
import { changeFeature, makeFeature, removeFeature } from './features.js'
import { featureCode, label } from './fields.js'
import {
  changeEndpoint,
  createEndpoint,
  listEndpoint,
  removeEndpoint,
  showEndpoint,
} from './resource-endpoints.js'
import { platformScope, type AdminCall, type AdminScope, type Governing } from './scope.js'

const featureFields = { code: z.string(), label: z.string() }
const feature = z.strictObject(featureFields).meta({ id: 'Feature' })
const newFeature = z.strictObject({ code: featureCode, label })
const featureChange = z.strictObject({ label }).partial()
const featureQuery = z.strictObject(pageFields)

const path = '/admin/features'
const itemPath = `${path}/:code`
const codeOf = ({ params }: AdminCall) => params.code ?? ''

const listAllFeatures = (scope: AdminScope) =>
  listEndpoint({
    scope,
    path,
    summary: 'List features by code',
    query: featureQuery,
    item: feature,
    list: (sql, { query: { limit, cursor } }) =>
      listFeatures(sql, { after: decodeCursor(cursor), atMost: limit + 1 }),
    page: (rows, limit) => pageFrom(rows, limit, ({ code }) => code),
  })

/** Returns the endpoints by which platform admins keep features: product modules for mandates. */
export function featureEndpoints(governing: Governing): Endpoint[] {
  const scope = platformScope(governing)
  const create = createEndpoint({
    scope,
    path,
    summary: 'Make a feature',
    body: newFeature,
    fields: featureFields,
    create: makeFeature,
    location: ({ code }) => `${path}/${code}`,
  })
  const show = showEndpoint({
    scope,
    path: itemPath,
    summary: 'Show a feature',
    item: feature,
    find: (sql, call) => findFeature(sql, codeOf(call)),
  })
  const change = changeEndpoint({
    scope,
    path: itemPath,
    summary: 'Call a feature something else',
    body: featureChange,
    fields: featureFields,
    update: (edit, call) => changeFeature(edit, codeOf(call), call.body),
  })
  const remove = removeEndpoint({
    scope,
    path: itemPath,
    summary: 'Delete a feature that is installed nowhere',
    remove: (edit, call) => removeFeature(edit, codeOf(call)),
  })
  return [listAllFeatures(scope), create, show, change, remove]
}
