import { randomUUID } from 'node:crypto'
import { recordChange } from '../audit/record-change.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { User } from '../coherence/directory.js'
import type { Database, Sql, Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { endSessions } from '../authentication/end-queries.js'
import {
  lifetimeFrom,
  signAccessToken,
  type IssuedTokens,
  type Lifetimes,
  type Origin,
} from './issue-token.js'
import {
  findRefreshState,
  insertRefreshToken,
  lockSession,
  spendRefreshToken,
  type RefreshState,
} from './refresh-queries.js'
import { refreshTokenHash, type Succession } from './refresh-token.js'
import { insertAccessToken } from './session-queries.js'

/** What a refresh answers: the next tokens of the session, and whose it is. */
export interface Refreshed extends IssuedTokens {
  user: User
}

/**
 * Exchanges a refresh token for the next one and an access token. Throws `refresh_invalid` for what is none,
 * has expired, ended or been used before, and `user_disabled`.
 */
export type Refresh = (token: string | undefined, origin: Origin) => Promise<Refreshed>

interface Dependencies {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  keys: TokenKeys
  succession: Succession
  config: Lifetimes
}

/**
 * Tabs of one browser race: for so long the second is given what the first was, unless somebody has used that
 * already.
 */
const graceSeconds = 10

const refreshInvalid = () =>
  new GatewayError('refresh_invalid', 'This sign-in has ended. Please log in again.')

/** A token that somebody shows, and when they did, on the monotonic clock. */
interface Shown {
  token: string
  hash: string
  shownAt: number
}

/**
 * What is to be done about a token: `rotate` gives the next one for it, `repeat` gives again what was given,
 * `reuse` is a sign of theft.
 */
type Verdict = 'rotate' | 'repeat' | 'reuse'

/**
 * `waitedSeconds` ago the token was shown: what a busy node or database takes is no fault of whoever showed
 * it.
 */
function decide(
  state: RefreshState | undefined,
  waitedSeconds: number,
): { verdict: Verdict; state: RefreshState } {
  if (!state) throw refreshInvalid()
  if (!state.userEnabled) throw new GatewayError('user_disabled', 'User is disabled')
  if (state.sessionEnded || state.expired) throw refreshInvalid()
  if (state.spentSecondsAgo === null) return { verdict: 'rotate', state }
  const isRace = state.spentSecondsAgo - waitedSeconds <= graceSeconds && state.successor?.spent === false
  return { verdict: isRace ? 'repeat' : 'reuse', state }
}

/** Exchanges refresh tokens (RFC 6749 §6, RFC 9700 §4.14): each is good for one use. */
export function refreshTokens({
  database,
  commitAndAwaitNodes,
  keys,
  succession,
  config,
}: Dependencies): Refresh {
  /**
   * Rotations under way here: whoever shows the same token meanwhile waits for them, and not one by one for
   * the lock.
   */
  const rotating = new Map<string, Promise<unknown>>()

  const look = async (sql: Sql, { hash, shownAt }: Shown) => {
    const state = await findRefreshState(sql, hash, config.SESSION_MAX_AGE)
    return decide(state, (performance.now() - shownAt) / 1000)
  }

  /**
   * Looked at once more under the lock: of many who use a token at once one rotates it, and a session that
   * has ended gets no further token.
   */
  const lookLocked = async (tx: Tx, shown: Shown, { sessionId, user }: RefreshState) => {
    await lockSession(tx, { sessionId, userId: user.id })
    return await look(tx, shown)
  }

  const rotate = (shown: Shown, seen: RefreshState) =>
    database.transaction(async (tx) => {
      const { verdict, state } = await lookLocked(tx, shown, seen)
      if (verdict !== 'rotate') return { verdict, state }
      const { sessionId, authority, user, sessionEndsAt } = state
      const access = {
        id: randomUUID(),
        ...lifetimeFrom(Date.now(), config.APP_TOKEN_EXPIRY, sessionEndsAt.getTime()),
      }
      const successor = succession.next(shown.token, access.id)
      await insertAccessToken(tx, { ...access, userId: user.id, authority, sessionId, kid: keys.signing.kid })
      const expiresInSeconds = await insertRefreshToken(tx, {
        hash: successor.hash,
        sessionId,
        expiryDays: config.APP_REFRESH_TOKEN_EXPIRY,
        sessionDays: config.SESSION_MAX_AGE,
      })
      await spendRefreshToken(tx, {
        hash: shown.hash,
        successorHash: successor.hash,
        accessTokenId: access.id,
        sessionId,
      })
      return {
        verdict: 'repeat' as const,
        state: { ...state, access, successor: { hash: successor.hash, spent: false, expiresInSeconds } },
      }
    })

  const rotateOrWait = async (shown: Shown, seen: RefreshState) => {
    const underWay = rotating.get(shown.hash)
    if (underWay) {
      await underWay.catch(() => undefined)
      const again = await look(database, shown)
      if (again.verdict !== 'rotate') return again
    }
    const rotation = rotate(shown, seen)
    rotating.set(shown.hash, rotation)
    return await rotation.finally(() => {
      if (rotating.get(shown.hash) === rotation) rotating.delete(shown.hash)
    })
  }

  const endFamily = (shown: Shown, seen: RefreshState, { address, requestId }: Origin) =>
    commitAndAwaitNodes(async (tx) => {
      const {
        verdict,
        state: { sessionId, user, spentSecondsAgo },
      } = await lookLocked(tx, shown, seen)
      if (verdict !== 'reuse') return
      await endSessions(tx, [sessionId])
      await recordChange(tx, {
        actor: { userId: user.id, requestId, address },
        mandateId: 'system',
        action: 'refresh_reused',
        subject: `session:${sessionId}`,
        after: { spentSecondsAgo: Math.round(spentSecondsAgo ?? 0) },
      })
    })

  /** The same for all who used the token at once: the tokens are made of what is stored. */
  const answer = async (
    token: string,
    { user, authority, sessionId, access, successor }: RefreshState,
  ): Promise<Refreshed> => {
    const refreshToken = access && successor ? succession.again(token, access.id, successor.hash) : undefined
    // The secret has been changed, and this node does not know the other one: whoever was first has the
    // successor.
    if (!access || !successor || refreshToken === undefined) throw refreshInvalid()
    const signed = await signAccessToken(keys, { ...access, user, authority, sessionId })
    return {
      user,
      token: signed,
      expiresAt: access.expiresAt,
      refreshToken,
      refreshExpiresInSeconds: successor.expiresInSeconds,
    }
  }

  return async (token, origin) => {
    const hash = token === undefined ? undefined : refreshTokenHash(token)
    if (token === undefined || hash === undefined) throw refreshInvalid()
    const shown = { token, hash, shownAt: performance.now() }
    const seen = await look(database, shown)
    const { verdict, state } = seen.verdict === 'rotate' ? await rotateOrWait(shown, seen.state) : seen
    if (verdict === 'repeat') return await answer(token, state)
    await endFamily(shown, state, origin)
    throw refreshInvalid()
  }
}
