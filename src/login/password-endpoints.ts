import { z } from 'zod'
import { actorOf } from '../audit/record-change.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { signedIn } from '../http/endpoint/policy.js'
import { languageOf } from '../http/pages/html.js'
import { changePassword, type PasswordDependencies } from './change-password.js'
import { personOf, requireFreshProof } from './fresh-proof.js'
import { originOf } from './issue-token.js'

const change = z.strictObject({
  currentPassword: z.string().min(1),
  newPassword: z.string(),
  keepIdentities: z.boolean().default(false).meta({
    description: 'do not unlink the identities at other authorities, by which one can sign in, too',
  }),
})

/** Returns `POST /auth/password`: a new password ends what the old one began, everywhere but here. */
export const passwordEndpoints = (deps: PasswordDependencies): Endpoint[] => [
  endpoint({
    method: 'post',
    path: '/auth/password',
    summary:
      'Change my password; ends all my other sessions and unlinks my identities, and when this answers no node accepts their tokens any more',
    access: signedIn,
    body: change,
    answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
    handle: async ({ req, body }) => {
      const caller = personOf(req)
      await requireFreshProof(deps.sql, caller, { isProved: true })
      const { user, sessionId } = caller.principal
      const person = { user, sessionId, actor: actorOf(req), language: languageOf(req) }
      const coherence = await changePassword(deps, person, body, originOf(req))
      return { status: 200, body: { coherence } }
    },
  }),
]
