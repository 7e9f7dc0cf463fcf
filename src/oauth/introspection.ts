import { decodeJwt } from 'jose'
import { findLogin } from '../authentication/authenticate.js'
import { decidePrincipal } from '../authentication/principal.js'
import { proofOf, type Acr } from '../authentication/proof.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import type { Directory } from '../coherence/directory.js'
import type { Config } from '../config.js'
import type { Database } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { refreshTokenHash } from '../login/refresh-token.js'
import { findLiveRefreshToken, isServiceAccount } from './introspection-queries.js'

/** What introspection needs. */
export interface IntrospectionDependencies {
  database: Database
  directory: Pick<Directory, 'login'>
  verifyToken: (token: string) => Promise<VerifiedClaims>
  config: Pick<Config, 'SESSION_MAX_AGE'>
}

/** What a token is worth now (RFC 7662 §2.2). Nothing is said of a token that does not count. */
export type Introspection =
  | { active: false }
  | {
      active: true
      token_type: 'Bearer' | 'refresh_token'
      sub: string
      username: string
      client_id?: string | undefined
      exp: number
      iat?: number | undefined
      iss: string
      jti?: string | undefined
      sid?: string | undefined
      acr?: Acr | undefined
      amr?: string[] | undefined
      auth_time?: number | undefined
    }

const inactive: Introspection = { active: false }
const issuer = 'mandate-gateway'

/** Decides as for any request, by the same memory. */
async function introspectAccessToken(
  { database, directory, verifyToken }: IntrospectionDependencies,
  token: string,
): Promise<Introspection> {
  try {
    const login = await findLogin(directory, token, verifyToken)
    const nowMs = Date.now()
    const principal = decidePrincipal(login, nowMs)
    const { user, tokenId, sessionId, expiresAtMs } = principal
    const { acr, amr, authTimeMs } = proofOf(principal, nowMs)
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
      acr,
      ...(amr.length > 0 ? { amr: [...amr] } : {}),
      ...(authTimeMs === null ? {} : { auth_time: Math.floor(authTimeMs / 1000) }),
      ...((await isServiceAccount(database, user.id)) ? { client_id: user.username } : {}),
    }
  } catch (error) {
    if (error instanceof GatewayError && error.code !== 'directory_unavailable') return inactive
    throw error
  }
}

const seconds = (moment: Date) => Math.floor(moment.getTime() / 1000)

async function introspectRefreshToken(
  { database, config }: IntrospectionDependencies,
  hash: string,
): Promise<Introspection> {
  const found = await findLiveRefreshToken(database, hash, config.SESSION_MAX_AGE)
  if (!found) return inactive
  const { username, sessionId, issuedAt, expiresAt } = found
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

/** Returns what an access token or a refresh token is worth now. Rejects with `directory_unavailable`. */
export async function introspect(deps: IntrospectionDependencies, token: string): Promise<Introspection> {
  const hash = refreshTokenHash(token)
  return hash === undefined
    ? await introspectAccessToken(deps, token)
    : await introspectRefreshToken(deps, hash)
}
