import { isAuthority } from '../domain/authorities.js'
import type { Login, PrincipalState, User } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import { explainMismatch } from './explain-mismatch.js'
import { tokenInvalid, type VerifiedClaims } from './verify-token.js'

/** Who is calling: the user, and the login that the token came from. */
export interface Principal {
  user: User
  tokenId: string
  sessionId: string | null
  authority: string
  purpose: string
  /** The keys whose change makes this untrue. */
  dependsOn: readonly string[]
  /** Milliseconds since 1970: the token's own end, or its row's. */
  expiresAtMs: number
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** Who is calling; absent where the endpoint asks nobody. */
      principal?: Principal
    }
  }
}

/** A platform level enters mandates without a membership. */
export const hasPlatformLevel = (user: User) => user.isSysAdmin || user.isPlatformAdmin

function matchesRow(
  claims: VerifiedClaims,
  userId: string,
  row: NonNullable<PrincipalState['token']>,
  nowMs: number,
): boolean {
  const authority = typeof claims.authority === 'string' ? claims.authority.toLowerCase() : undefined
  return (
    row.status === 'active' &&
    row.expiresAtMs > nowMs &&
    row.userId === userId &&
    isAuthority(authority) &&
    authority === row.authority &&
    (row.purpose === 'auth_session' || (row.purpose === 'api_token' && authority === 'local')) &&
    claims.sessionId === (row.sessionId ?? undefined) &&
    !row.sessionEnded
  )
}

/**
 * Rows 5 to 8 of the authentication table, in their order: what the directory says of verified claims. A key
 * that has been retired verifies nothing (row 2).
 */
export function decidePrincipal(
  { claims, state, dependsOn }: Login<VerifiedClaims>,
  nowMs: number,
): Principal {
  const { user, token, keyRetired } = state
  if (keyRetired || !user) throw tokenInvalid(explainMismatch(claims, state, nowMs))
  if (!user.enabled) throw new GatewayError('user_disabled', 'User is disabled')
  if (user.id !== claims.userId)
    throw new GatewayError('user_mismatch', 'User context has changed. Please log in again.')
  if (!token || !matchesRow(claims, user.id, token, nowMs))
    throw tokenInvalid(explainMismatch(claims, state, nowMs))
  const { enabled: _enabled, ...shown } = user
  return {
    user: shown,
    tokenId: claims.jti,
    sessionId: token.sessionId,
    authority: token.authority,
    purpose: token.purpose,
    dependsOn,
    expiresAtMs: Math.min(claims.expiresAt * 1000, token.expiresAtMs),
  }
}
