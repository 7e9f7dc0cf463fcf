import type { Request } from 'express'
import type { Directory, Login } from '../coherence/directory.js'
import { GatewayError, statusOf } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import { carriesTwo, cookieValue, cookieValues } from '../http/cookies.js'
import type { Policy } from '../http/endpoint/policy.js'
import { decidePrincipal, type Principal } from './principal.js'
import { refuseNoToken, tokenExpired, type VerifiedClaims } from './verify-token.js'

interface Dependencies {
  directory: Pick<Directory, 'login'>
  verifyToken: (token: string) => Promise<VerifiedClaims>
  atMs: (req: Request) => number
  /** Called for each use of a long-lived token. */
  onApiToken?: (tokenId: string) => void
}

/** Returns the token of an `Authorization: Bearer` header (RFC 6750 §2.1), with the scheme in any case. */
function bearerToken(header: string | undefined): string | undefined {
  return /^bearer +([^ ].*)$/i.exec(header ?? '')?.[1]
}

/** Most tokens of one request that are verified, because each costs a verification. */
const mostPresented = 32

/**
 * Returns the tokens that a request presents, each once and at most 32, for signing out. Tokens that would
 * not decide are among them.
 */
export function presentedTokens(req: Request): string[] {
  const tokens = [
    bearerToken(req.headers.authorization),
    ...cookieValues(req.state.cookieHeader, 'auth_token'),
  ]
  return [...new Set(tokens.flatMap((token) => (token ? [token] : [])))].slice(0, mostPresented)
}

/**
 * Returns the cookie's token, and the header's only without a cookie: a page cannot choose its cookie's
 * value.
 */
function extractToken(req: Request): string | undefined {
  return cookieValue(req, 'auth_token') ?? bearerToken(req.headers.authorization)
}

/**
 * Returns the refusal of a failed authentication. Anything but the token's own fault is the directory's: 503,
 * never 401.
 */
function refusalOf(error: unknown): GatewayError {
  if (error instanceof GatewayError && error.code !== 'directory_unavailable') return error
  return new GatewayError(
    'authentication_unavailable',
    'Authentication service temporarily unavailable. Please contact administrator.',
    { cause: error },
  )
}

/**
 * Finds the login of a presented token. Throws `token_invalid` for a text that is no token, before any look-
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

/** The decision about a remembered login. It lives as long as the login; only time can change it. */
const decided = new WeakMap<Login<VerifiedClaims>, Principal>()

/** Decides rows 3 to 8 for a login that may be remembered: time has passed since its token was verified. */
function principalOf(login: Login<VerifiedClaims>, nowMs: number): Principal {
  const known = decided.get(login)
  if (known && nowMs < known.expiresAtMs) return known
  if (login.claims.expiresAt * 1000 <= nowMs) throw tokenExpired()
  const principal = decidePrincipal(login, nowMs)
  decided.set(login, principal)
  return principal
}

/**
 * Authenticates the caller into `principal` of the request's state, by the rows of the authentication table.
 * It does not wait for what is remembered. `atMs` is the moment (milliseconds since 1970) at which the token must not have
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
      req.state.principal = principal
      if (principal.purpose === 'api_token') onApiToken(principal.tokenId)
      next()
      return undefined
    }
    return login.then(
      (loaded) => {
        req.state.principal = principalOf(loaded, atMs(req))
        if (req.state.principal.purpose === 'api_token') onApiToken(req.state.principal.tokenId)
        next()
      },
      (error: unknown) => next(refusalOf(error)),
    )
  }
}

/**
 * Returns the function that says who is signed in, for pages that nobody has to be signed in for. A token that
 * does not count is nobody's, and so are two that differ. Rejects with `authentication_unavailable` where the
 * database cannot say.
 */
export function findCaller({
  directory,
  verifyToken,
}: Pick<Dependencies, 'directory' | 'verifyToken'>): (req: Request) => Promise<Principal | undefined> {
  return async (req) => {
    const token = carriesTwo(req, 'auth_token') ? undefined : extractToken(req)
    if (token === undefined) return undefined
    try {
      return principalOf(await findLogin(directory, token, verifyToken), Date.now())
    } catch (error) {
      const refusal = refusalOf(error)
      if (statusOf(refusal.code) >= 500) throw refusal
      return undefined
    }
  }
}
