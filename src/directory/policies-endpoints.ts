import { z } from 'zod'
import { noPolicy, type MandatePolicy } from '../domain/assurance-policy.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch, etagOf } from '../http/endpoint/etag.js'
import { answerItem, changeQuery, previewOf, previewWith } from './change-endpoints.js'
import { found } from './fields.js'
import { findMandateIdOf } from './mandate-queries.js'
import { findRefused, refuseLockOut, withChange, type RefusedByPolicy } from './policies.js'
import { findMandatePolicy, upsertMandatePolicy } from './policy-queries.js'
import { mandatePolicyFields, refusedSchema, shownMandateFields } from '../authorization/policy-schemas.js'
import { mandateOfPath, ownMandate, type AdminScope, type Governing, type ChangeOutcome } from './scope.js'

const shown = z.strictObject(shownMandateFields).meta({ id: 'MandatePolicy' })
const change = z.strictObject(mandatePolicyFields).partial()

/** The good answers of a call that changes a policy. */
export const policyAnswers = (fields: z.ZodRawShape) => ({
  200: z.union([
    z.strictObject({ ...fields, coherence: coherenceSchema }),
    previewWith({ refused: refusedSchema }),
  ]),
})

/** What has been changed; or a preview of who would be refused. */
export function answerPolicy<Result extends object>(
  outcome: ChangeOutcome<Result>,
  refused: RefusedByPolicy | undefined,
): Answer {
  if ('effect' in outcome) return { status: 200, body: { ...previewOf(outcome.effect), refused } }
  const { result, coherence } = outcome
  return { status: 200, body: { ...result, coherence }, headers: { ETag: etagOf(result) } }
}

interface Place {
  scope: AdminScope
  path: string
  /** Whether authors must be able to change it again. Platform admins repair. */
  isGuarded: boolean
}

type PatchCall = Call<z.infer<typeof change>, z.infer<typeof changeQuery>>

/** Changes the policy of the scope's mandate, or finds out whom that would refuse. */
async function changePolicy({ scope, isGuarded }: Place, call: PatchCall): Promise<Answer> {
  const seen: { refused?: RefusedByPolicy } = {}
  const outcome = await scope.change(call, async ({ tx, mandateId, record }) => {
    const id = found(mandateId)
    const before = (await findMandatePolicy(tx, id, { forUpdate: true })) ?? noPolicy
    checkIfMatch(call.req, before)
    const after: MandatePolicy = withChange(before, call.body)
    if (call.query.dryRun) seen.refused = await findRefused(tx, { mandateId: id }, after)
    else if (isGuarded) refuseLockOut(call.req, after, 'gateway.policy')
    await upsertMandatePolicy(tx, id, after)
    await record({ mandateId: id, action: 'policy_changed', subject: `mandate:${id}`, before, after })
    return after
  })
  return answerPolicy(outcome, seen.refused)
}

function endpointsAt(place: Place): Endpoint[] {
  const { scope, path } = place
  return [
    endpoint({
      method: 'get',
      path,
      summary: 'Show what the mandate asks of sessions and addresses',
      access: scope.access,
      answers: { 200: shown },
      handle: async (call) =>
        answerItem(
          await scope.see(
            call,
            async (sql, mandateId) => (await findMandatePolicy(sql, found(mandateId))) ?? noPolicy,
          ),
        ),
    }),
    endpoint({
      method: 'patch',
      path,
      summary:
        'Change what the mandate asks; when it answers, no node serves a session that meets it no more. dryRun tells who would be refused',
      access: scope.access,
      query: changeQuery,
      body: change,
      answers: policyAnswers(shownMandateFields),
      handle: (call) => changePolicy(place, call),
    }),
  ]
}

/** The policy of a mandate, for its admins and for platform admins. */
export function policyEndpoints(governing: Governing): Endpoint[] {
  return [
    ...endpointsAt({
      scope: ownMandate(governing, 'gateway.policy'),
      path: '/mandate/policy',
      isGuarded: true,
    }),
    ...endpointsAt({
      scope: mandateOfPath(governing, (sql, call) => findMandateIdOf(sql, 'mandate', idOf(call))),
      path: '/admin/mandates/:id/policy',
      isGuarded: false,
    }),
  ]
}
