import { recordChange } from '../audit/record-change.js'
import { endLogins, revokeAccessToken } from '../authentication/end-queries.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import type { Coherence, CoherentTx, CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import type { Origin } from '../login/issue-token.js'
import { areIssued } from '../login/refresh-queries.js'
import { refreshTokenHash } from '../login/refresh-token.js'

/** What revocation needs. */
export interface RevocationDependencies {
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>
}

/** The user whose token was revoked, and what the audit says of it. */
interface Revoked {
  userId: string
  action: string
  subject: string
}

type Revoke = (tx: CoherentTx) => Promise<Revoked | undefined>

/** Ends the session of a refresh token, with its access tokens (RFC 7009 §2.1). */
async function endSessionOf(tx: CoherentTx, hash: string): Promise<Revoked | undefined> {
  const [ended] = await endLogins(tx, { tokenIds: [], refreshHashes: [hash] })
  return ended && { userId: ended.userId, action: 'session_ended', subject: `session:${ended.id}` }
}

async function revokeOne(tx: CoherentTx, id: string): Promise<Revoked | undefined> {
  const revoked = await revokeAccessToken(tx, id)
  return revoked && { userId: revoked.userId, action: 'token_revoked', subject: `token:${id}` }
}

/** Returns what revokes a token; undefined for a text that cannot be one of ours. */
async function revokerOf(
  { sql, verifyTokenOfAnyAge }: RevocationDependencies,
  token: string,
): Promise<Revoke | undefined> {
  const hash = refreshTokenHash(token)
  if (hash !== undefined) return (await areIssued(sql, [hash])) ? (tx) => endSessionOf(tx, hash) : undefined
  const claims = await verifyTokenOfAnyAge(token).catch(() => undefined)
  return claims && ((tx) => revokeOne(tx, claims.jti))
}

/**
 * Revokes an access token, or a refresh token with its session, and audits it. Returns undefined for a text
 * that is no token of ours.
 */
export async function revokeToken(
  deps: RevocationDependencies,
  token: string,
  { requestId, address }: Pick<Origin, 'requestId' | 'address'>,
): Promise<Coherence | undefined> {
  const revoke = await revokerOf(deps, token)
  if (!revoke) return undefined
  const { coherence } = await deps.commitAndAwaitNodes(async (tx) => {
    const revoked = await revoke(tx)
    if (revoked)
      await recordChange(tx, {
        actor: { userId: revoked.userId, requestId, address },
        mandateId: 'system',
        action: revoked.action,
        subject: revoked.subject,
        after: { by: 'revocation' },
      })
  })
  return coherence
}
