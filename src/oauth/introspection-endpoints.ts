import type { Request } from 'express'
import { z } from 'zod'
import { fieldError } from '../domain/reasons.js'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint/endpoint.js'
import { clientInvalid } from './authenticated-client.js'
import { clientFields, type AuthenticateClient } from './client-authentication.js'
import { isServiceAccount } from './introspection-queries.js'
import { introspect, type IntrospectionDependencies } from './introspection.js'

interface Dependencies extends IntrospectionDependencies {
  authenticateClient: AuthenticateClient
}

/**
 * RFC 7662 §2.1. The hint is ignored: the two kinds of tokens look different.
 */
const question = z
  .looseObject({ token: z.string().min(1), ...clientFields })
  .refine((body) => !Object.values(body).some(Array.isArray), fieldError('sent_once'))

/** RFC 7662 §2.2. Nothing is said of a token that does not count. */
const answer = z
  .union([
    z.strictObject({ active: z.literal(false) }),
    z.strictObject({
      active: z.literal(true),
      token_type: z.enum(['Bearer', 'refresh_token']),
      sub: z.string(),
      username: z.string(),
      client_id: z.string().optional(),
      exp: z.int(),
      iat: z.number().optional(),
      iss: z.string(),
      jti: z.string().optional(),
      sid: z.string().optional(),
      acr: z.enum(['phr', 'mfa', '1fa']).optional(),
      amr: z.array(z.string()).optional(),
      auth_time: z.int().optional(),
    }),
  ])
  .meta({ id: 'Introspection' })

/**
 * Returns a refusal for a caller who may not ask: only service accounts and SysAdmins may. Throws
 * `client_invalid` for wrong client credentials.
 */
async function refuseOthers(
  { database, authenticateClient }: Dependencies,
  req: Request,
  body: z.infer<typeof question>,
): Promise<Answer | undefined> {
  const user = req.state.principal?.user
  if (!user) {
    const { show } = await authenticateClient(req, body)
    if (!(await show())) throw clientInvalid()
    return undefined
  }
  if (user.isSysAdmin || (await isServiceAccount(database, user.id))) return undefined
  return {
    status: 403,
    body: {
      error: 'unauthorized_client',
      error_description: 'Only service accounts and SysAdmins may ask',
    },
  }
}

/** Returns the endpoint `POST /auth/introspect` (RFC 7662). */
export const introspectionEndpoints = (deps: Dependencies): Endpoint[] => [
  endpoint({
    method: 'post',
    path: '/auth/introspect',
    summary: 'What a token is worth now (RFC 7662), for service accounts and SysAdmins',
    access: { auth: 'optional', mandate: 'none', instance: 'none' },
    errors: 'oauth',
    body: question,
    bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: answer },
    handle: async ({ req, body }) =>
      (await refuseOthers(deps, req, body)) ?? { status: 200, body: await introspect(deps, body.token) },
  }),
]
