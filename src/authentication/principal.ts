import { isAuthority } from '../domain/authorities.js'
import type { Login, PrincipalState, SessionState, User } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import { explainMismatch } from './explain-mismatch.js'
import { tokenInvalid, type VerifiedClaims } from './verify-token.js'

/** The caller: the user, and the login of the token. */
export interface Principal {
  user: User
  tokenId: string
  sessionId: string | null
  authority: string
  purpose: string
  /** Whether it is a program's account, which no policy asks for a proof. */
  isServiceAccount: boolean
  /** When the token was issued, in milliseconds since 1970. */
  issuedAtMs: number
  /** The session, with the proof that the token has. Undefined for a token without one. */
  session: SessionState | undefined
  /** A change of one of these keys makes this outdated. */
  dependsOn: readonly string[]
  /** Milliseconds since 1970: the earlier end of the token and of its row. */
  expiresAtMs: number
}

/** Returns whether a user has a platform level, which enters mandates without a membership. */
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
 * Decides rows 5 to 8 of the authentication table, in order: what the directory says about verified claims. A
 * retired key verifies nothing (row 2).
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
  const { enabled: _enabled, isServiceAccount, ...shown } = user
  return {
    user: shown,
    tokenId: claims.jti,
    sessionId: token.sessionId,
    authority: token.authority,
    purpose: token.purpose,
    isServiceAccount,
    issuedAtMs: token.issuedAtMs,
    session: state.session,
    dependsOn,
    expiresAtMs: Math.min(claims.expiresAt * 1000, token.expiresAtMs),
  }
}
