import { z } from 'zod'
import { actorOf, recordChange } from '../audit/record-change.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { answerItem, changeQuery } from '../directory/change-endpoints.js'
import { answerPolicy, policyAnswers } from '../directory/policies-endpoints.js'
import { findRefused, refuseLockOut, withChange, type RefusedByPolicy } from '../directory/policies.js'
import { findStoredAreaPolicy, upsertAreaPolicy } from '../directory/policy-queries.js'
import { areaPolicyFields, shownAreaFields } from '../authorization/policy-schemas.js'
import { noPolicy, policyAreas, type AreaPolicy, type PolicyArea } from '../domain/assurance-policy.js'
import { notFound } from '../errors.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { checkIfMatch } from '../http/endpoint/etag.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import type { Changing } from './change-login.js'

const shown = z.strictObject(shownAreaFields).meta({ id: 'AreaPolicy' })
const change = z.strictObject(areaPolicyFields).partial()
type PatchCall = Call<z.infer<typeof change>, z.infer<typeof changeQuery>>

const nothingAsked: AreaPolicy = { factor: null, maxAge: null, addresses: [] }

/** Returns the area that a path names. Throws `not_found`. */
function areaOf({ params }: Pick<Call<unknown, unknown>, 'params'>): PolicyArea {
  const area = policyAreas.find((one) => one === params.area)
  if (!area) throw notFound()
  return area
}

/** Changes the policy of an area in a transaction. Returns it, and whom it would refuse where that is asked. */
async function changeArea(
  tx: CoherentTx,
  { req, body, query, ...call }: PatchCall,
): Promise<{ after: AreaPolicy; refused: RefusedByPolicy | undefined }> {
  const area = areaOf(call)
  const before = (await findStoredAreaPolicy(tx, area, { forUpdate: true })) ?? nothingAsked
  checkIfMatch(req, before)
  const after = withChange(before, body)
  const refused = query.dryRun ? await findRefused(tx, { area }, { ...noPolicy, ...after }) : undefined
  if (area === 'system' && !query.dryRun) refuseLockOut(req, { ...noPolicy, ...after })
  await upsertAreaPolicy(tx, area, after)
  await recordChange(tx, {
    actor: actorOf(req),
    mandateId: 'system',
    action: 'policy_changed',
    subject: `area:${area}`,
    before,
    after,
  })
  return { after, refused }
}

async function patchArea({ commitAndAwaitNodes, performDryRun }: Changing, call: PatchCall): Promise<Answer> {
  const { principal } = call.req.state
  if (call.query.dryRun) {
    const { refused } = await performDryRun((tx) => changeArea(tx, call))
    const effect = { changes: [], latent: [], unseen: 0, sessions: [], tokens: [] }
    return answerPolicy({ effect }, refused)
  }
  const { result, coherence } = await commitAndAwaitNodes(async (tx) => {
    await beginAsAdmin(tx, principal?.user, 'sysAdmin')
    return await changeArea(tx, call)
  })
  return answerPolicy({ result: result.after, coherence }, undefined)
}

/** The policies of the operators' areas, which SysAdmins change. */
export function areaPolicyEndpoints({ sql, ...changing }: Changing & { sql: Sql }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/policies/:area',
      summary: 'Show what the area admin or system asks of sessions and addresses',
      access: sysAdmins,
      answers: { 200: shown },
      handle: async (call) => answerItem((await findStoredAreaPolicy(sql, areaOf(call))) ?? nothingAsked),
    }),
    endpoint({
      method: 'patch',
      path: '/system/policies/:area',
      summary:
        'Change what the area asks of everything under /admin or /system; ' +
        'when it answers, no node serves a session that meets it no more',
      access: sysAdmins,
      query: changeQuery,
      body: change,
      answers: policyAnswers(shownAreaFields),
      handle: (call) => patchArea(changing, call),
    }),
  ]
}
