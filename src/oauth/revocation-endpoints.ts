import { fieldError } from '../domain/reasons.js'
import type { Request } from 'express'
import { z } from 'zod'
import { recordChange } from '../audit/record-change.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import type { Coherence, CommitAndAwaitNodes, CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { endLogins, revokeAccessToken } from '../authentication/end-queries.js'
import { areIssued } from '../login/refresh-queries.js'
import { refreshTokenHash } from '../login/refresh-token.js'

interface Dependencies {
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>
}

/**
 * RFC 7009 §2.1. The hint is only there to spare a search, and none is needed: the two kinds of tokens look
 * different.
 */
const revocation = z
  .looseObject({ token: z.string().min(1), token_type_hint: z.string().optional() })
  .refine((body) => !Object.values(body).some(Array.isArray), fieldError('sent_once'))

/** Whose token was revoked, and what it was part of, where something was. */
interface Revoked {
  userId: string
  action: string
  subject: string
}

/** A refresh token's session, with its access tokens (RFC 7009 §2.1). */
async function endFamily(tx: CoherentTx, hash: string): Promise<Revoked | undefined> {
  const [ended] = await endLogins(tx, { tokenIds: [], refreshHashes: [hash] })
  return ended && { userId: ended.userId, action: 'session_ended', subject: `session:${ended.id}` }
}

/** One access token. */
async function revokeOne(tx: CoherentTx, id: string): Promise<Revoked | undefined> {
  const revoked = await revokeAccessToken(tx, id)
  return revoked && { userId: revoked.userId, action: 'token_revoked', subject: `token:${id}` }
}

/**
 * `POST /auth/revoke` (RFC 7009): whoever holds a token may end it. Clients are public, so the token itself
 * is what they show.
 */
export function revocationEndpoints({
  sql,
  commitAndAwaitNodes,
  verifyTokenOfAnyAge,
}: Dependencies): Endpoint[] {
  /**
   * What revokes a token that may be ours; undefined for what cannot be, of which the database need not be
   * asked.
   */
  const revokerOf = async (
    token: string,
  ): Promise<((tx: CoherentTx) => Promise<Revoked | undefined>) | undefined> => {
    const hash = refreshTokenHash(token)
    if (hash !== undefined) return (await areIssued(sql, [hash])) ? (tx) => endFamily(tx, hash) : undefined
    const claims = await verifyTokenOfAnyAge(token).catch(() => undefined)
    return claims && ((tx) => revokeOne(tx, claims.jti))
  }

  const revoke = async (token: string, req: Request): Promise<Coherence | undefined> => {
    const work = await revokerOf(token)
    if (!work) return undefined
    const { coherence } = await commitAndAwaitNodes(async (tx) => {
      const revoked = await work(tx)
      if (revoked)
        await recordChange(tx, {
          actor: { userId: revoked.userId, requestId: req.state.id, address: req.state.clientAddress },
          mandateId: 'system',
          action: revoked.action,
          subject: revoked.subject,
          after: { by: 'revocation' },
        })
    })
    return coherence
  }

  return [
    endpoint({
      method: 'post',
      path: '/auth/revoke',
      summary:
        'Revoke an access token, or a refresh token with its session (RFC 7009); a token that is none is no error',
      access: anyone,
      errors: 'oauth',
      body: revocation,
      bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
      answers: { 200: z.strictObject({ coherence: coherenceSchema.optional() }) },
      handle: async ({ req, body }) => {
        const coherence = await revoke(body.token, req)
        return { status: 200, body: coherence ? { coherence } : {} }
      },
    }),
  ]
}
