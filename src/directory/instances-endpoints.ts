import { reason } from '../domain/reasons.js'
import { z } from 'zod'
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
import { featureCode, flag, found, id, invalid, label, search } from './fields.js'
import {
  deleteInstance,
  findInstance,
  findInstanceForUpdate,
  hasFeature,
  insertInstance,
  listInstances,
  updateInstance,
  type Instance,
} from './instance-queries.js'
import { findMandate } from './mandate-queries.js'
import { refuseOverQuota } from './quota-queries.js'
import { ownMandate, platformScope, type Edit, type Governing, type AdminScope } from './scope.js'

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

async function makeInstance(
  { tx, mandateId: within, record }: Edit,
  body: z.infer<typeof newOwnInstance> & { mandateId?: string },
): Promise<Instance> {
  const mandateId = within ?? found(await findMandate(tx, body.mandateId ?? '')).id
  if (!(await hasFeature(tx, body.featureCode))) throw invalid('featureCode', reason('feature_unknown'))
  await refuseOverQuota(tx, mandateId, 'instances')
  const made = await insertInstance(tx, { ...body, mandateId })
  await record({ mandateId, action: 'instance_created', subject: `instance:${made.id}`, after: made })
  return made
}

interface Collection {
  scope: AdminScope
  path: string
  title: string
  newInstance: typeof newInstance | typeof newOwnInstance
}

function readEndpoints({ scope: { access, see }, path, title }: Collection): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path,
      summary: `List ${title} by label; q finds them by any part of it`,
      access,
      query: instanceQuery,
      answers: { 200: pageOf(instance) },
      handle: async (call) => {
        const { limit, cursor, q, enabled, featureCode: feature, mandateId } = call.query
        const rows = await see(call, (sql, within) =>
          listInstances(sql, {
            mandateId: within ?? mandateId,
            featureCode: feature,
            enabled,
            q,
            after: decodePosition(cursor, 2),
            atMost: limit + 1,
          }),
        )
        return { status: 200, body: pageFrom(rows, limit, (one) => positionOf(one.label, one.id)) }
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id`,
      summary: 'Show a feature instance',
      access,
      answers: { 200: instance },
      handle: async (call) => answerItem(found(await see(call, (sql) => findInstance(sql, idOf(call))))),
    }),
  ]
}

function writeEndpoints({ scope: { access, change }, path, newInstance: body }: Collection): Endpoint[] {
  const begin = async ({ tx, about }: Edit, call: Call<unknown, unknown>) => {
    const before = found(await findInstanceForUpdate(tx, idOf(call)))
    checkIfMatch(call.req, before)
    await about({ instanceId: before.id })
    return before
  }
  return [
    endpoint({
      method: 'post',
      path,
      summary: 'Install a feature in a mandate',
      access,
      query: changeQuery,
      body,
      answers: createdAnswers(instanceFields),
      handle: async (call) =>
        answerCreated(
          await change(call, (edit) => makeInstance(edit, call.body)),
          (one) => `${path}/${one.id}`,
        ),
    }),
    endpoint({
      method: 'patch',
      path: `${path}/:id`,
      summary: 'Change a feature instance; when disabling it answers, no node lets anybody in any more',
      access,
      query: changeQuery,
      body: instanceChange,
      answers: changedAnswers(instanceFields),
      handle: async (call) =>
        answerChanged(
          await change(call, async (edit) => {
            const before = await begin(edit, call)
            const after = {
              ...before,
              label: call.body.label ?? before.label,
              enabled: call.body.enabled ?? before.enabled,
            }
            await updateInstance(edit.tx, after)
            await edit.record({
              mandateId: before.mandateId,
              action: 'instance_changed',
              subject: `instance:${before.id}`,
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
      summary: 'Remove a feature instance with its roles and all access to it',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async (edit) => {
            const before = await begin(edit, call)
            await deleteInstance(edit.tx, before.id)
            await edit.record({
              mandateId: before.mandateId,
              action: 'instance_deleted',
              subject: `instance:${before.id}`,
              before,
            })
          }),
        ),
    }),
  ]
}

const endpointsOf = (collection: Collection) => [...readEndpoints(collection), ...writeEndpoints(collection)]

/** Feature instances: all of them for platform admins, and a mandate's own for those who govern it. */
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
