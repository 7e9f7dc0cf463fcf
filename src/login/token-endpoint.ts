import { z } from 'zod'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint.js'
import { anyone } from '../http/policy.js'
import type { CheckPassword } from './check-password.js'
import type { IssuedToken, Login } from './issue-token.js'
import { usernameInput } from './schemas.js'

interface Dependencies {
  checkPassword: CheckPassword
  issueTokens: (login: Login) => Promise<IssuedToken>
}

/** RFC 6749 §3.2: parameters that a server does not know are ignored, and none may come twice. */
const tokenRequest = z.looseObject({ grant_type: z.string().min(1), username: usernameInput.optional(), password: z.string().optional() })
  .refine((body) => !Object.values(body).some(Array.isArray), 'a parameter must not be sent more than once')
const tokenAnswer = z.strictObject({ access_token: z.string(), token_type: z.literal('Bearer'), expires_in: z.number().int() })

const refuse = (error: string, description: string): Answer => ({ status: 400, body: { error, error_description: description } })

/** `POST /auth/token` (RFC 6749 §4.3): access tokens for callers that keep no cookies. */
export function tokenEndpoints({ checkPassword, issueTokens }: Dependencies): Endpoint[] {
  return [endpoint({
    method: 'post',
    path: '/auth/token',
    summary: 'Get an access token (RFC 6749); the grant type is password',
    access: anyone,
    errors: 'oauth',
    body: tokenRequest,
    bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: tokenAnswer },
    handle: async ({ req, body }) => {
      if (body.grant_type !== 'password') return refuse('unsupported_grant_type', 'The grant type must be password')
      if (!body.username || !body.password) return refuse('invalid_request', 'username and password must be given')
      const user = await checkPassword({ username: body.username, password: body.password, address: req.clientAddress })
      if (!user) return refuse('invalid_grant', 'Username or password is wrong')
      const { token, expiresAt } = await issueTokens({
        user, authority: 'local', address: req.clientAddress, userAgent: req.headers['user-agent'] ?? null,
      })
      const expiresIn = Math.round((expiresAt.getTime() - Date.now()) / 1000)
      return { status: 200, body: { access_token: token, token_type: 'Bearer', expires_in: expiresIn } }
    },
  })]
}
