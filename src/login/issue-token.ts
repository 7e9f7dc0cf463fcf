import { randomUUID } from 'node:crypto'
import type { Request } from 'express'
import { SignJWT } from 'jose'
import type { Authority } from '../domain/authorities.js'
import { recordChange } from '../audit/record-change.js'
import { endSessions, listLiveSessionIds, type Presented } from '../authentication/end-queries.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { CommitAndAwaitNodes, CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Config } from '../config.js'
import type { Database, Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { insertRefreshToken } from './refresh-queries.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import { byPassword, byProvider, type Proven } from './proven.js'
import { insertSession, insertSessionToken, lockLoginUser } from './session-queries.js'

/** A signed access token, and until when it counts. */
export interface IssuedToken {
  token: string
  expiresAt: Date
}

/** What a session is given: an access token, and the refresh token that gets the next one. */
export interface IssuedTokens extends IssuedToken {
  refreshToken: string
  refreshExpiresInSeconds: number
}

/** Where a login comes from. */
export interface Origin {
  address: string
  userAgent: string | null
  requestId: string
}

/** Of what a client calls itself; more is nobody's name. */
const longestUserAgent = 512

/** Where this request comes from. */
export function originOf(req: Request): Origin {
  return {
    address: req.state.clientAddress,
    userAgent: req.headers['user-agent']?.slice(0, longestUserAgent) ?? null,
    requestId: req.state.id,
  }
}

/** Who logged in, and from where. */
export interface Login extends Origin {
  user: { id: string; username: string }
  authority: Authority
  /** The provider of authority `oidc`. */
  providerId?: string | null
  /** The hash that the password was compared with. A login is refused when it has been changed meanwhile. */
  passwordHash?: string | null
  /** How the user was proved; by default by a password, or by the authority. */
  proven?: Proven
  /** The login that the browser holds already: its sessions end when it signs in anew, whosever they are. */
  replaces?: Presented
  /**
   * Looks once more at what the login rests on, with the user's row locked. The login is refused where it has
   * gone.
   */
  stillHolds?: (tx: Tx) => Promise<boolean>
}

/** What an access token says. */
interface AccessToken {
  id: string
  user: { id: string; username: string }
  authority: string
  /** Null for programs, which have none. */
  sessionId: string | null
  issuedAt: Date
  expiresAt: Date
}

/** Signs an access token (RFC 7519; `typ` as RFC 9068 has it). Times count in whole seconds. */
export async function signAccessToken(
  keys: TokenKeys,
  { id, user, authority, sessionId, issuedAt, expiresAt }: AccessToken,
): Promise<string> {
  return await new SignJWT({
    userId: user.id,
    authenticationAuthority: authority,
    ...(sessionId === null ? {} : { sid: sessionId }),
  })
    .setProtectedHeader({ alg: keys.algorithm, typ: 'at+jwt', kid: keys.signing.kid })
    .setSubject(user.username)
    .setJti(id)
    .setIssuer('mandate-gateway')
    .setIssuedAt(new Date(Math.min(issuedAt.getTime(), Date.now()))) // the database's clock may be ahead
    .setExpirationTime(expiresAt)
    .sign(keys.signing.key)
}

/** How long what is issued is good. */
export type Lifetimes = Pick<Config, 'APP_TOKEN_EXPIRY' | 'APP_REFRESH_TOKEN_EXPIRY' | 'SESSION_MAX_AGE'>

interface Dependencies {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  keys: TokenKeys
  config: Lifetimes
}

/** A session that begins, with its tokens. */
interface Beginning {
  session: Parameters<typeof insertSession>[1]
  tokenId: string
  refreshToken: string
}

/** The times of the tokens of a session that has begun. */
interface Begun {
  issuedAt: Date
  expiresAt: Date
  refreshExpiresInSeconds: number
}

/**
 * Writes a session with its tokens, and audits it. Returns when its tokens were issued, and expire.
 * Throws `credentials_invalid` when the login does not hold any more.
 */
async function beginSession(
  tx: Tx,
  { keys, config }: Pick<Dependencies, 'keys' | 'config'>,
  { user, authority, providerId = null, address, userAgent, requestId, ...login }: Login,
  { session, tokenId, refreshToken }: Beginning,
): Promise<Begun> {
  const holds =
    (await lockLoginUser(tx, user.id, login.passwordHash)) && (await login.stillHolds?.(tx)) !== false
  if (!holds) throw new GatewayError('credentials_invalid', 'Username or password is wrong')
  await insertSession(tx, session)
  const times = await insertSessionToken(tx, {
    id: tokenId,
    userId: user.id,
    authority,
    sessionId: session.id,
    expiryMinutes: config.APP_TOKEN_EXPIRY,
    sessionDays: config.SESSION_MAX_AGE,
    kid: keys.signing.kid,
  })
  await recordChange(tx, {
    actor: { userId: user.id, requestId, address },
    mandateId: 'system',
    action: 'session_started',
    subject: `session:${session.id}`,
    after: { authority, ...(providerId === null ? {} : { providerId }), userAgent },
  })
  const refreshExpiresInSeconds = await insertRefreshToken(tx, {
    hash: hashSecret(refreshToken),
    sessionId: session.id,
    expiryDays: config.APP_REFRESH_TOKEN_EXPIRY,
    sessionDays: config.SESSION_MAX_AGE,
  })
  return { ...times, refreshExpiresInSeconds }
}

/** Ends sessions that a new login replaces, and audits each. */
async function endReplaced(tx: CoherentTx, ids: string[], { requestId, address }: Login): Promise<void> {
  for (const { id, userId } of await endSessions(tx, ids)) {
    await recordChange(tx, {
      actor: { userId, requestId, address },
      mandateId: 'system',
      action: 'session_ended',
      subject: `session:${id}`,
      after: { by: 'new login' },
    })
  }
}

/**
 * Returns what begins a session and issues its tokens. Session and tokens are written together or not at all.
 * It throws `credentials_invalid` when the user was disabled, or their password changed, since it was checked.
 * When it replaces another login, no node accepts that one any more.
 */
export function issueTokens(deps: Dependencies): (login: Login) => Promise<IssuedTokens> {
  const { database, commitAndAwaitNodes, keys } = deps
  return async (login) => {
    const { user, authority, providerId = null, address, userAgent } = login
    const proven = login.proven ?? (authority === 'local' ? byPassword : byProvider)
    const session = { id: randomUUID(), userId: user.id, authority, providerId, address, userAgent, proven }
    const [tokenId, refreshToken] = [randomUUID(), makeSecret()]
    const begin = (tx: Tx) => beginSession(tx, deps, login, { session, tokenId, refreshToken })
    const replaced = login.replaces ? await listLiveSessionIds(database, login.replaces) : []
    const beginAndEnd = async (tx: CoherentTx) => {
      const begun = await begin(tx)
      await endReplaced(tx, replaced, login)
      return begun
    }
    const { issuedAt, expiresAt, refreshExpiresInSeconds } =
      replaced.length === 0
        ? await database.transaction(begin)
        : (await commitAndAwaitNodes(beginAndEnd)).result
    const access = { id: tokenId, user, authority, sessionId: session.id, issuedAt, expiresAt }
    return { token: await signAccessToken(keys, access), expiresAt, refreshToken, refreshExpiresInSeconds }
  }
}
