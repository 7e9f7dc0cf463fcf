import type { PrincipalState } from '../coherence/directory.js'
import type { VerifiedClaims } from './verify-token.js'

const longestShown = 80

/** Returns a claim or a column for the operator. A claim may hold anything. */
function shown(value: unknown): string {
  if (value === null || value === undefined || value === '') return 'none'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text
}

/**
 * Returns why a token is refused by row 5 or 8 of the authentication table, for an operator. Callers get one
 * answer for all of these rows. Undefined when these rows accept it.
 */
export function explainMismatch(
  claims: VerifiedClaims,
  { user, token: row, keyRetired }: PrincipalState,
  nowMs: number,
): string | undefined {
  if (keyRetired) return `row 2: its key ${claims.kid} is retired`
  if (!user) return `row 5: there is no user called ${shown(claims.username)}`
  if (!row) return `row 8: there is no row for the jti ${claims.jti}`
  if (row.status !== 'active') return `row 8: the row is ${row.status}`
  if (row.expiresAtMs <= nowMs) return `row 8: the row expired at ${new Date(row.expiresAtMs).toISOString()}`
  if (row.userId !== user.id) return `row 8: the row is of the user ${row.userId}, the token says ${user.id}`
  const authority = typeof claims.authority === 'string' ? claims.authority.toLowerCase() : claims.authority
  if (authority !== row.authority)
    return `row 8: the row has the authority ${row.authority}, the token says ${shown(claims.authority)}`
  if (row.purpose !== 'auth_session') return `row 8: the row's purpose is ${row.purpose}`
  if (claims.sessionId !== (row.sessionId ?? undefined))
    return `row 8: the row has session ${shown(row.sessionId)}, the token says ${shown(claims.sessionId)}`
  if (row.sessionEnded) return `row 8: its session ${shown(row.sessionId)} has ended`
  return undefined
}
