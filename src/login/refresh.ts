import { randomUUID } from 'node:crypto'
import { recordChange } from '../audit/record-change.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { User } from '../coherence/directory.js'
import type { Database, Sql, Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { endSessions } from '../authentication/end-queries.js'
import { signAccessToken, type IssuedTokens, type Lifetimes, type Origin } from './issue-token.js'
import {
  findRefreshState,
  insertRefreshToken,
  lockSession,
  spendRefreshToken,
  type RefreshState,
} from './refresh-queries.js'
import { refreshTokenHash, type Succession } from './refresh-token.js'
import { insertSessionToken } from './session-queries.js'

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
 * What to do with a token: `rotate` it, `repeat` what was given for it, or treat its `reuse` as a sign of
 * theft. `spent` is refused alone: the session was just proved again in another tab, which has the next token.
 */
interface Decision {
  verdict: 'rotate' | 'repeat' | 'reuse' | 'spent'
  state: RefreshState
}

/** Decides by a token's row. `waitedSeconds` is what a busy node or database took: no fault of the caller. */
function decide(state: RefreshState | undefined, waitedSeconds: number): Decision {
  if (!state) throw refreshInvalid()
  if (!state.userEnabled) throw new GatewayError('user_disabled', 'User is disabled')
  if (state.sessionEnded || state.expired) throw refreshInvalid()
  if (state.spentSecondsAgo === null) return { verdict: 'rotate', state }
  const isRecent = state.spentSecondsAgo - waitedSeconds <= graceSeconds
  if (isRecent && !state.hasSuccessor) return { verdict: 'spent', state }
  return { verdict: isRecent && state.successor?.spent === false ? 'repeat' : 'reuse', state }
}

/** Looks at the row of a token, and decides. */
async function look({ config }: Dependencies, sql: Sql, { hash, shownAt }: Shown): Promise<Decision> {
  const state = await findRefreshState(sql, hash, config.SESSION_MAX_AGE)
  return decide(state, (performance.now() - shownAt) / 1000)
}

/**
 * Looks again under the lock. Of many callers who use a token at once one rotates it, and a session that has
 * ended gets no further token.
 */
async function lookLocked(
  deps: Dependencies,
  tx: Tx,
  shown: Shown,
  { sessionId, user }: RefreshState,
): Promise<Decision> {
  await lockSession(tx, { sessionId, userId: user.id })
  return await look(deps, tx, shown)
}

/** Writes the next access token and refresh token of a session, and spends the one that was shown. */
async function writeNext(
  { keys, succession, config }: Dependencies,
  tx: Tx,
  shown: Shown,
  state: RefreshState,
): Promise<Decision> {
  const { sessionId, authority, user } = state
  const id = randomUUID()
  const { hash } = succession.next(shown.token, id)
  const times = await insertSessionToken(tx, {
    id,
    userId: user.id,
    authority,
    sessionId,
    expiryMinutes: config.APP_TOKEN_EXPIRY,
    sessionDays: config.SESSION_MAX_AGE,
    kid: keys.signing.kid,
  })
  const access = { id, ...times }
  const expiresInSeconds = await insertRefreshToken(tx, {
    hash,
    sessionId,
    expiryDays: config.APP_REFRESH_TOKEN_EXPIRY,
    sessionDays: config.SESSION_MAX_AGE,
  })
  await spendRefreshToken(tx, { hash: shown.hash, successorHash: hash, accessTokenId: access.id, sessionId })
  return {
    verdict: 'repeat',
    state: { ...state, access, successor: { hash, spent: false, expiresInSeconds } },
  }
}

const rotate = (deps: Dependencies, shown: Shown, seen: RefreshState): Promise<Decision> =>
  deps.database.transaction(async (tx) => {
    const decision = await lookLocked(deps, tx, shown, seen)
    return decision.verdict === 'rotate' ? await writeNext(deps, tx, shown, decision.state) : decision
  })

/** Ends the session of a token that was used twice, unless another decision holds meanwhile. */
const endReused = (
  deps: Dependencies,
  shown: Shown,
  seen: RefreshState,
  { address, requestId }: Origin,
): Promise<unknown> =>
  deps.commitAndAwaitNodes(async (tx) => {
    const { verdict, state } = await lookLocked(deps, tx, shown, seen)
    if (verdict !== 'reuse') return
    const { sessionId, user, spentSecondsAgo } = state
    await endSessions(tx, [sessionId])
    await recordChange(tx, {
      actor: { userId: user.id, requestId, address },
      mandateId: 'system',
      action: 'refresh_reused',
      subject: `session:${sessionId}`,
      after: { spentSecondsAgo: Math.round(spentSecondsAgo ?? 0) },
    })
  })

/** Returns the tokens that follow. They are made from stored values, so they are the same for every caller. */
async function successorTokens(
  { keys, succession }: Dependencies,
  token: string,
  { user, authority, sessionId, access, successor }: RefreshState,
): Promise<Refreshed> {
  const refreshToken = access && successor ? succession.again(token, access.id, successor.hash) : undefined
  // Without the secret that made it, this node cannot make the successor again. The first caller has it.
  if (!access || !successor || refreshToken === undefined) throw refreshInvalid()
  return {
    user,
    token: await signAccessToken(keys, { ...access, user, authority, sessionId }),
    expiresAt: access.expiresAt,
    refreshToken,
    refreshExpiresInSeconds: successor.expiresInSeconds,
  }
}

/** Returns the exchange of refresh tokens (RFC 6749 §6, RFC 9700 §4.14): each is good for one use. */
export function refreshTokens(deps: Dependencies): Refresh {
  /** Rotations that run here. Others who show the same token wait for them, not for the lock. */
  const rotating = new Map<string, Promise<Decision>>()

  const rotateOrWait = async (shown: Shown, seen: RefreshState): Promise<Decision> => {
    const underWay = rotating.get(shown.hash)
    if (underWay) {
      await underWay.catch(() => undefined)
      const again = await look(deps, deps.database, shown)
      if (again.verdict !== 'rotate') return again
    }
    const rotation = rotate(deps, shown, seen)
    rotating.set(shown.hash, rotation)
    return await rotation.finally(() => {
      if (rotating.get(shown.hash) === rotation) rotating.delete(shown.hash)
    })
  }

  return async (token, origin) => {
    const hash = token === undefined ? undefined : refreshTokenHash(token)
    if (token === undefined || hash === undefined) throw refreshInvalid()
    const shown = { token, hash, shownAt: performance.now() }
    const seen = await look(deps, deps.database, shown)
    const { verdict, state } = seen.verdict === 'rotate' ? await rotateOrWait(shown, seen.state) : seen
    if (verdict === 'repeat') return await successorTokens(deps, token, state)
    if (verdict === 'reuse') await endReused(deps, shown, state, origin)
    throw refreshInvalid()
  }
}
