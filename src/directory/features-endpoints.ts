import { reason } from '../domain/reasons.js'
import { z } from 'zod'
import { GatewayError } from '../errors.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch } from '../http/endpoint/etag.js'
import { decodeCursor, pageFields, pageFrom, pageOf } from '../http/endpoint/page.js'
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
import {
  countInstances,
  deleteFeature,
  findFeature,
  findFeatureForUpdate,
  insertFeature,
  listFeatures,
  setFeatureLabel,
  type Feature,
} from './feature-queries.js'
import { featureCode, found, label } from './fields.js'
import { platformScope, type Edit, type Governing } from './scope.js'

const featureFields = { code: z.string(), label: z.string() }
const feature = z.strictObject(featureFields).meta({ id: 'Feature' })
const newFeature = z.strictObject({ code: featureCode, label })
const featureChange = z.strictObject({ label }).partial()
const featureQuery = z.strictObject(pageFields)

/** Makes a feature. Rejects with `conflict` where the code is taken. */
export async function makeFeature(
  { tx, record }: Pick<Edit, 'tx' | 'record'>,
  feature: Feature,
): Promise<Feature> {
  await insertFeature(tx, feature)
  await record({ action: 'feature_created', subject: `feature:${feature.code}`, after: feature })
  return feature
}

/** Product modules that can be installed in mandates, as platform admins keep them. */
export function featureEndpoints(governing: Governing): Endpoint[] {
  const { access, see, change } = platformScope(governing)
  return [
    endpoint({
      method: 'get',
      path: '/admin/features',
      summary: 'List features by code',
      access,
      query: featureQuery,
      answers: { 200: pageOf(feature) },
      handle: async (call) => {
        const { limit, cursor } = call.query
        return {
          status: 200,
          body: pageFrom(
            await see(call, (sql) => listFeatures(sql, { after: decodeCursor(cursor), atMost: limit + 1 })),
            limit,
            ({ code }) => code,
          ),
        }
      },
    }),
    endpoint({
      method: 'post',
      path: '/admin/features',
      summary: 'Make a feature',
      access,
      query: changeQuery,
      body: newFeature,
      answers: createdAnswers(featureFields),
      handle: async (call) =>
        answerCreated(
          await change(call, (edit) => makeFeature(edit, call.body)),
          ({ code }) => `/admin/features/${code}`,
        ),
    }),
    endpoint({
      method: 'get',
      path: '/admin/features/:code',
      summary: 'Show a feature',
      access,
      answers: { 200: feature },
      handle: async (call) =>
        answerItem(found(await see(call, (sql) => findFeature(sql, call.params.code ?? '')))),
    }),
    endpoint({
      method: 'patch',
      path: '/admin/features/:code',
      summary: 'Call a feature something else',
      access,
      query: changeQuery,
      body: featureChange,
      answers: changedAnswers(featureFields),
      handle: async (call) =>
        answerChanged(
          await change(call, async ({ tx, record }) => {
            const before = found(await findFeatureForUpdate(tx, call.params.code ?? ''))
            checkIfMatch(call.req, before)
            const after = { ...before, label: call.body.label ?? before.label }
            await setFeatureLabel(tx, before.code, after.label)
            await record({ action: 'feature_changed', subject: `feature:${before.code}`, before, after })
            return after
          }),
        ),
    }),
    endpoint({
      method: 'delete',
      path: '/admin/features/:code',
      summary: 'Delete a feature that is installed nowhere',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async ({ tx, record }) => {
            const before = found(await findFeatureForUpdate(tx, call.params.code ?? ''))
            checkIfMatch(call.req, before)
            const installed = await countInstances(tx, before.code)
            if (installed > 0)
              throw new GatewayError('conflict', reason('feature_in_use', { instances: installed }))
            await deleteFeature(tx, before.code)
            await record({ action: 'feature_deleted', subject: `feature:${before.code}`, before })
          }),
        ),
    }),
  ]
}
