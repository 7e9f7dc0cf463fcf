import { z } from 'zod'
import { assuredSession, missingUnder } from '../authorization/assurance.js'
import { proofOf } from '../authentication/proof.js'
import type { MandatePolicy } from '../domain/assurance-policy.js'
import type { Sql } from '../database/connect.js'
import { shownMandateFields } from '../authorization/policy-schemas.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { signedInSomewhere } from '../http/endpoint/policy.js'
import { listEnrolledKinds } from './assurance-queries.js'

const time = z.iso.datetime().nullable()
const assurance = z
  .strictObject({
    acr: z.enum(['phr', 'mfa', '1fa']),
    amr: z.array(z.string()),
    authTime: time,
    mfaAt: time,
    phrAt: time,
    enrolled: z
      .array(z.enum(['totp', 'passkey']))
      .meta({ description: 'the kinds of factors that you have' }),
    required: z
      .strictObject(shownMandateFields)
      .nullable()
      .meta({ description: 'what the mandate asks; null where it asks nothing, and without a mandate' }),
    missing: z
      .array(z.enum(['session', 'idle', 'factor', 'age']))
      .meta({ description: 'what your session lacks for that' }),
  })
  .meta({ id: 'Assurance' })

const shownTime = (atMs: number | null) => (atMs === null ? null : new Date(atMs).toISOString())

/** How and when the caller was proved, and what the requested mandate asks. */
export function assuranceEndpoints({ sql }: { sql: Sql }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/auth/assurance',
      summary: 'Show how and when you were proved, and what the named mandate asks and your session lacks',
      access: { ...signedInSomewhere, judged: false },
      answers: { 200: assurance },
      handle: async ({ req }) => {
        const principal = req.state.requirePrincipal()
        const nowMs = Date.now()
        const { acr, amr, authTimeMs, mfaAtMs, phrAtMs } = proofOf(principal, nowMs)
        const policy = req.state.context?.entry.policy
        const isAsked = policy !== undefined && !principal.isServiceAccount
        return {
          status: 200,
          body: {
            acr,
            amr,
            authTime: shownTime(authTimeMs),
            mfaAt: shownTime(mfaAtMs),
            phrAt: shownTime(phrAtMs),
            enrolled: await listEnrolledKinds(sql, principal.user.id),
            required: policy ? shownPolicy(policy) : null,
            missing: isAsked ? missingUnder(policy, assuredSession(principal, nowMs), nowMs) : [],
          },
        }
      },
    }),
  ]
}

const shownPolicy = ({ factor, maxAge, idle, sessionAge, addresses, items }: MandatePolicy) => ({
  factor,
  maxAge,
  idle,
  sessionAge,
  addresses,
  items,
})
