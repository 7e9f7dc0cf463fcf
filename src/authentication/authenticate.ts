import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import type { Directory, Login } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import { cookieValue, cookieValues } from '../http/cookies.js'
import type { Policy } from '../http/endpoint/policy.js'
import { decidePrincipal, type Principal } from './principal.js'
import { refuseNoToken, tokenExpired, type VerifiedClaims } from './verify-token.js'

interface Dependencies {
  directory: Pick<Directory, 'login'>
  verifyToken: (token: string) => Promise<VerifiedClaims>
  atMs: (req: Request) => number
  /** Hears of each use of a long-lived token. */
  onApiToken?: (tokenId: string) => void
}

/** RFC 6750 §2.1: the token of an `Authorization: Bearer` header, its scheme in any case. */
function bearerToken(header: string | undefined): string | undefined {
  return /^bearer +([^ ].*)$/i.exec(header ?? '')?.[1]
}

/** Tokens of one request that are looked at: each costs a verification. */
const mostPresented = 32

/**
 * Returns the tokens that a request presents, whether or not they would decide, each once and at most 32: for
 * signing out.
 */
export function presentedTokens(req: IncomingMessage): string[] {
  const tokens = [bearerToken(req.headers.authorization), ...cookieValues(req.headers.cookie, 'auth_token')]
  return [...new Set(tokens.flatMap((token) => (token ? [token] : [])))].slice(0, mostPresented)
}

/** The cookie's token, and only without one the header's: a page cannot choose what its cookie says. */
function extractToken(req: IncomingMessage): string | undefined {
  return cookieValue(req, 'auth_token') ?? bearerToken(req.headers.authorization)
}

/** Whatever failed but the token itself is the directory's failing: 503, never 401. */
function refusalOf(error: unknown): GatewayError {
  if (error instanceof GatewayError && error.code !== 'directory_unavailable') return error
  return new GatewayError(
    'authentication_unavailable',
    'Authentication service temporarily unavailable. Please contact administrator.',
    { cause: error },
  )
}

/**
 * The login of a token as it was presented. Throws `token_invalid` for text that is none, before it is looked
 * up.
 */
export function findLogin(
  directory: Pick<Directory, 'login'>,
  token: string,
  verifyToken: Dependencies['verifyToken'],
): Login<VerifiedClaims> | Promise<Login<VerifiedClaims>> {
  refuseNoToken(token)
  return directory.login(token, verifyToken)
}

/**
 * Who a remembered login turned out to be. Lives as long as the login is remembered; only time can change it.
 */
const decided = new WeakMap<Login<VerifiedClaims>, Principal>()

/** Rows 3 to 8 for a login that may have been remembered: time has passed since its token was verified. */
function principalOf(login: Login<VerifiedClaims>, nowMs: number): Principal {
  const known = decided.get(login)
  if (known && nowMs < known.expiresAtMs) return known
  if (login.claims.expiresAt * 1000 <= nowMs) throw tokenExpired()
  const principal = decidePrincipal(login, nowMs)
  decided.set(login, principal)
  return principal
}

/**
 * Finds out who is calling, into `req.principal`: the authentication table, row by row. Waits for nothing
 * that is remembered. `atMs` is the moment (milliseconds since 1970) at which the token must not have
 * expired.
 */
export function authenticate({
  directory,
  verifyToken,
  atMs,
  onApiToken = () => undefined,
}: Dependencies): (policy: Exclude<Policy['auth'], 'portal'>) => Middleware {
  return (policy) => (req, _res, next) => {
    const token = extractToken(req)
    if (token === undefined) {
      if (policy === 'required') throw new GatewayError('authentication_required', 'Not authenticated')
      next()
      return undefined
    }
    const login = findLogin(directory, token, verifyToken)
    if (!(login instanceof Promise)) {
      const principal = principalOf(login, atMs(req))
      req.principal = principal
      if (principal.purpose === 'api_token') onApiToken(principal.tokenId)
      next()
      return undefined
    }
    return login.then(
      (loaded) => {
        req.principal = principalOf(loaded, atMs(req))
        if (req.principal.purpose === 'api_token') onApiToken(req.principal.tokenId)
        next()
      },
      (error: unknown) => next(refusalOf(error)),
    )
  }
}
