import { fieldError } from '../domain/reasons.js'
import type { Request } from 'express'
import { z } from 'zod'
import type { Database, Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { languageOf } from '../http/pages/html.js'
import type { CheckPassword } from '../login/check-password.js'
import { clientFields, type AuthenticateClient } from './client-authentication.js'
import { answerOfOtp, type ProveFactor } from '../login/factors/prove-factor.js'
import { findEnrolled, isFactorThere } from '../login/factors/factor-queries.js'
import { originOf, type IssuedTokens, type Login } from '../login/issue-token.js'
import { given, tokenAnswer } from '../login/login-answer.js'
import { both, byPassword as provenByPassword } from '../login/proven.js'
import type { Refresh } from '../login/refresh.js'
import { usernameInput } from '../login/schemas.js'
import type { IssueClientToken } from './service-tokens.js'

interface Dependencies {
  database: Database
  proveFactor: ProveFactor
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
    otp: z.string().max(64).optional().meta({ description: 'a code of a second factor, or a recovery code' }),
    refresh_token: z.string().optional(),
    ...clientFields,
  })
  .refine((body) => !Object.values(body).some(Array.isArray), fieldError('sent_once'))
type TokenRequest = z.infer<typeof tokenRequest>

const refuse = (error: string, description: string): Answer => ({
  status: 400,
  body: { error, error_description: description },
})

/** The errors that RFC 6749 §5.2 calls an invalid grant. */
const invalidGrants = new Set(['credentials_invalid', 'factor_invalid', 'refresh_invalid', 'user_disabled'])

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

/** RFC 6749 §4.3. Where a second factor is enrolled, `otp` is looked at after the password. */
const byPassword: Grant = async (deps, { username, password, otp }, req) => {
  if (!username || !password) return refuse('invalid_request', 'username and password must be given')
  const { database, checkPassword, issueTokens, proveFactor } = deps
  const user = await checkPassword({ username, password, ...originOf(req) })
  if (!user) return refuse('invalid_grant', 'Username or password is wrong')
  const login = { user, authority: 'local', passwordHash: user.passwordHash, ...originOf(req) } as const
  const enrolled = await findEnrolled(database, user.id)
  if (!enrolled || enrolled.kinds.length === 0) return given(await issueTokens(login))
  if (otp === undefined || otp === '')
    return refuse('mfa_required', 'A second factor is enrolled: send a code or a recovery code as otp')
  const who = { ...originOf(req), userId: user.id, language: languageOf(req) }
  const factor = await proveFactor(who, answerOfOtp(otp))
  const stillHolds = (tx: Tx) => isFactorThere(tx, user.id, factor.factorId)
  return given(await issueTokens({ ...login, proven: both(provenByPassword, factor), stillHolds }))
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
