import { z } from 'zod'
import { fieldError } from '../domain/reasons.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { originOf } from '../login/issue-token.js'
import { revokeToken, type RevocationDependencies } from './revocation.js'

/**
 * RFC 7009 §2.1. The hint is ignored: the two kinds of tokens look different.
 */
const revocation = z
  .looseObject({ token: z.string().min(1), token_type_hint: z.string().optional() })
  .refine((body) => !Object.values(body).some(Array.isArray), fieldError('sent_once'))

/**
 * Returns the endpoint `POST /auth/revoke` (RFC 7009). Clients are public: the token itself shows that the
 * caller may end it.
 */
export const revocationEndpoints = (deps: RevocationDependencies): Endpoint[] => [
  endpoint({
    method: 'post',
    path: '/auth/revoke',
    summary:
      'Revoke an access token, or a refresh token with its session (RFC 7009); a token that is none is no error',
    access: anyone,
    errors: 'oauth',
    body: revocation,
    bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: z.strictObject({ coherence: coherenceSchema.optional() }) },
    handle: async ({ req, body }) => {
      const coherence = await revokeToken(deps, body.token, originOf(req))
      return { status: 200, body: coherence ? { coherence } : {} }
    },
  }),
]
