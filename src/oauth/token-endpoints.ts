import { fieldError } from '../domain/reasons.js'
import type { Request } from 'express'
import { z } from 'zod'
import { GatewayError } from '../errors.js'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import type { CheckPassword } from '../login/check-password.js'
import { clientFields, type AuthenticateClient } from './client-authentication.js'
import { originOf, type IssuedToken, type IssuedTokens, type Login } from '../login/issue-token.js'
import type { Refresh } from '../login/refresh.js'
import { usernameInput } from '../login/schemas.js'
import type { IssueClientToken } from './service-tokens.js'

interface Dependencies {
  checkPassword: CheckPassword
  issueTokens: (login: Login) => Promise<IssuedTokens>
  refresh: Refresh
  authenticateClient: AuthenticateClient
  issueClientToken: IssueClientToken
}

/** RFC 6749 §3.2: parameters that a server does not know are ignored, and none may come twice. */
const tokenRequest = z
  .looseObject({
    grant_type: z.string().min(1),
    username: usernameInput.optional(),
    password: z.string().optional(),
    refresh_token: z.string().optional(),
    ...clientFields,
  })
  .refine((body) => !Object.values(body).some(Array.isArray), fieldError('sent_once'))
type TokenRequest = z.infer<typeof tokenRequest>
const tokenAnswer = z.strictObject({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.int(),
  refresh_token: z.string().optional(),
})

const refuse = (error: string, description: string): Answer => ({
  status: 400,
  body: { error, error_description: description },
})

/** RFC 6749 §5.1. */
const given = ({ token, expiresAt, refreshToken }: IssuedToken & Partial<IssuedTokens>): Answer => ({
  status: 200,
  body: {
    access_token: token,
    token_type: 'Bearer',
    expires_in: Math.max(0, Math.round((expiresAt.getTime() - Date.now()) / 1000)),
    refresh_token: refreshToken,
  },
})

/** The errors that RFC 6749 §5.2 calls an invalid grant. */
const invalidGrants = new Set(['credentials_invalid', 'refresh_invalid', 'user_disabled'])

async function grantOr(
  invalidGrant: (description: string) => Answer,
  grant: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await grant()
  } catch (error) {
    if (error instanceof GatewayError && invalidGrants.has(error.code)) return invalidGrant(error.detail)
    throw error
  }
}

type Grant = (deps: Dependencies, body: TokenRequest, req: Request) => Promise<Answer>

/** RFC 6749 §4.3. */
const byPassword: Grant = async ({ checkPassword, issueTokens }, { username, password }, req) => {
  if (!username || !password) return refuse('invalid_request', 'username and password must be given')
  const user = await checkPassword({ username, password, ...originOf(req) })
  if (!user) return refuse('invalid_grant', 'Username or password is wrong')
  return given(
    await issueTokens({ user, authority: 'local', passwordHash: user.passwordHash, ...originOf(req) }),
  )
}

/** RFC 6749 §6. */
const byRefreshToken: Grant = async ({ refresh }, { refresh_token: token }, req) => {
  if (!token) return refuse('invalid_request', 'refresh_token must be given')
  return given(await refresh(token, originOf(req)))
}

/** RFC 6749 §4.4. */
const byClient: Grant = async ({ authenticateClient, issueClientToken }, body, req) =>
  given(await issueClientToken(await authenticateClient(req, body), originOf(req)))

const grants = new Map([
  ['password', byPassword],
  ['refresh_token', byRefreshToken],
  ['client_credentials', byClient],
])
const grantTypes = [...grants.keys()].join(' or ')

/** Returns the endpoint `POST /auth/token` (RFC 6749): tokens for callers that keep no cookies. */
export const tokenEndpoints = (deps: Dependencies): Endpoint[] => [
  endpoint({
    method: 'post',
    path: '/auth/token',
    summary: `Get an access token (RFC 6749); the grant type is ${grantTypes}`,
    access: anyone,
    errors: 'oauth',
    body: tokenRequest,
    bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: tokenAnswer },
    handle: async ({ req, body }) => {
      const grant = grants.get(body.grant_type)
      if (!grant) return refuse('unsupported_grant_type', `The grant type must be ${grantTypes}`)
      return await grantOr(
        (description) => refuse('invalid_grant', description),
        () => grant(deps, body, req),
      )
    },
  }),
]
