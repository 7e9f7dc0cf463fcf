import { randomUUID } from 'node:crypto'
import { recordChange } from '../audit/record-change.js'
import type { Principal } from '../authentication/principal.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import { GatewayError } from '../errors.js'
import { signAccessToken, type IssuedTokens, type Lifetimes, type Origin } from './issue-token.js'
import type { Proven } from './proven.js'
import { insertRefreshToken, lockSession } from './refresh-queries.js'
import { insertSessionToken } from './session-queries.js'
import { isSessionLive, keepProofs, spendRefreshTokens, stampProof } from './step-up-queries.js'

interface Dependencies {
  commitAndAwaitNodes: CommitAndAwaitNodes
  keys: TokenKeys
  config: Lifetimes
}

/**
 * Notes that the person of a session has been proved again, and returns new tokens of the same session. Older
 * tokens keep what they had. Throws `token_invalid` where the session or the token has ended meanwhile.
 */
export type StepUp = (
  caller: Pick<Principal, 'user' | 'tokenId' | 'authority'> & { sessionId: string },
  proven: Proven,
  origin: Origin,
) => Promise<IssuedTokens>

/**
 * Creates it. The session's row is locked first: no other refresh or step-up of it goes on meanwhile. The proof
 * and the tokens are stamped by one clock, the database's.
 */
export function createStepUp({ commitAndAwaitNodes, keys, config }: Dependencies): StepUp {
  return async ({ user, tokenId, authority, sessionId }, proven, { requestId, address }) => {
    const [id, refreshToken] = [randomUUID(), makeSecret()]
    const { result } = await commitAndAwaitNodes(async (tx) => {
      await lockSession(tx, { sessionId, userId: user.id })
      if (!(await isSessionLive(tx, { sessionId, tokenId })))
        throw new GatewayError('token_invalid', 'Invalid authentication credentials')
      await keepProofs(tx, sessionId)
      await stampProof(tx, sessionId, proven)
      await spendRefreshTokens(tx, sessionId)
      const lifetime = { sessionId, sessionDays: config.SESSION_MAX_AGE }
      const times = await insertSessionToken(tx, {
        ...lifetime,
        id,
        userId: user.id,
        authority,
        expiryMinutes: config.APP_TOKEN_EXPIRY,
        kid: keys.signing.kid,
      })
      const refreshExpiresInSeconds = await insertRefreshToken(tx, {
        ...lifetime,
        hash: hashSecret(refreshToken),
        expiryDays: config.APP_REFRESH_TOKEN_EXPIRY,
      })
      await recordChange(tx, {
        actor: { userId: user.id, requestId, address },
        mandateId: 'system',
        action: 'stepped_up',
        subject: `session:${sessionId}`,
        after: { amr: proven.amr },
      })
      return { ...times, refreshExpiresInSeconds }
    })
    const { issuedAt, expiresAt, refreshExpiresInSeconds } = result
    const token = await signAccessToken(keys, { id, user, authority, sessionId, issuedAt, expiresAt })
    return { token, expiresAt, refreshToken, refreshExpiresInSeconds }
  }
}
