import { fieldError } from '../domain/reasons.js'
import type { Request } from 'express'
import { decodeJwt } from 'jose'
import { z } from 'zod'
import { findLogin } from '../authentication/authenticate.js'
import { decidePrincipal } from '../authentication/principal.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import type { Directory } from '../coherence/directory.js'
import type { Config } from '../config.js'
import type { Database } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint/endpoint.js'
import { clientInvalid } from './authenticated-client.js'
import { clientFields, type AuthenticateClient } from './client-authentication.js'
import { findLiveRefreshToken, isServiceAccount } from './introspection-queries.js'
import { refreshTokenHash } from '../login/refresh-token.js'

interface Dependencies {
  database: Database
  directory: Pick<Directory, 'login'>
  verifyToken: (token: string) => Promise<VerifiedClaims>
  authenticateClient: AuthenticateClient
  config: Pick<Config, 'SESSION_MAX_AGE'>
}

/**
 * RFC 7662 §2.1. The hint is only there to spare a search, and none is needed: the two kinds of tokens look
 * different.
 */
const question = z
  .looseObject({ token: z.string().min(1), ...clientFields })
  .refine((body) => !Object.values(body).some(Array.isArray), fieldError('sent_once'))

/** RFC 7662 §2.2. Of a token that does not count nothing is told. */
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
    }),
  ])
  .meta({ id: 'Introspection' })
type Introspection = z.infer<typeof answer>

const inactive: Introspection = { active: false }
const issuer = 'mandate-gateway'

/**
 * `POST /auth/introspect` (RFC 7662): what a token is worth at this moment, for service accounts and
 * SysAdmins.
 */
export function introspectionEndpoints({
  database,
  directory,
  verifyToken,
  authenticateClient,
  config,
}: Dependencies): Endpoint[] {
  /** The same decision as for any request, by the same memory. */
  const ofAccessToken = async (token: string): Promise<Introspection> => {
    try {
      const login = await findLogin(directory, token, verifyToken)
      const nowMs = Date.now()
      const { user, tokenId, sessionId, expiresAtMs } = decidePrincipal(login, nowMs)
      if (expiresAtMs <= nowMs) return inactive
      const { iat } = decodeJwt(token)
      return {
        active: true,
        token_type: 'Bearer',
        sub: user.username,
        username: user.username,
        exp: Math.floor(expiresAtMs / 1000),
        iss: issuer,
        jti: tokenId,
        ...(iat === undefined ? {} : { iat }),
        ...(sessionId === null ? {} : { sid: sessionId }),
        ...((await isServiceAccount(database, user.id)) ? { client_id: user.username } : {}),
      }
    } catch (error) {
      if (error instanceof GatewayError && error.code !== 'directory_unavailable') return inactive
      throw error
    }
  }

  const ofRefreshToken = async (hash: string): Promise<Introspection> => {
    const found = await findLiveRefreshToken(database, hash, config.SESSION_MAX_AGE)
    if (!found) return inactive
    const { username, sessionId, issuedAt, expiresAt } = found
    const seconds = (moment: Date) => Math.floor(moment.getTime() / 1000)
    return {
      active: true,
      token_type: 'refresh_token',
      sub: username,
      username,
      exp: seconds(expiresAt),
      iat: seconds(issuedAt),
      iss: issuer,
      sid: sessionId,
    }
  }

  /** Throws `client_invalid` for a client that is none; answers a refusal for a caller who may not ask. */
  const refuseOthers = async (req: Request, body: z.infer<typeof question>): Promise<Answer | undefined> => {
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

  return [
    endpoint({
      method: 'post',
      path: '/auth/introspect',
      summary: 'What a token is worth now (RFC 7662), for service accounts and SysAdmins',
      access: { auth: 'optional', mandate: 'none', instance: 'none' },
      errors: 'oauth',
      body: question,
      bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
      answers: { 200: answer },
      handle: async ({ req, body }) => {
        const refusal = await refuseOthers(req, body)
        if (refusal) return refusal
        const hash = refreshTokenHash(body.token)
        return {
          status: 200,
          body: hash === undefined ? await ofAccessToken(body.token) : await ofRefreshToken(hash),
        }
      },
    }),
  ]
}
