import type { Request } from 'express'
import { z } from 'zod'
import { presentedTokens } from '../authentication/authenticate.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { carriesTwo, type CookieConfig } from '../http/cookies.js'
import { endpoint, type Answer, type Endpoint } from '../http/endpoint/endpoint.js'
import { isNavigation } from '../http/pages/html.js'
import { anyone } from '../http/endpoint/policy.js'
import type { CheckPassword } from './check-password.js'
import type { Presented } from '../authentication/end-queries.js'
import { originOf, type IssuedTokens, type Login } from './issue-token.js'
import {
  clearLoginCookies,
  loginOfCookies,
  presentedRefreshTokens,
  setLoginCookies,
} from './login-cookies.js'
import { logOut } from './log-out.js'
import { refreshTokenHash } from './refresh-token.js'
import type { Refresh } from './refresh.js'
import type { RequireSecondFactor } from './factors/second-factor.js'
import { loginAnswer, signedInAs } from './login-answer.js'
import { usernameInput } from './schemas.js'

interface Dependencies {
  config: CookieConfig
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
  checkPassword: CheckPassword
  requireSecondFactor: RequireSecondFactor
  issueTokens: (login: Login) => Promise<IssuedTokens>
  refresh: Refresh
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>
}

const credentials = z.strictObject({ username: usernameInput, password: z.string().min(1) })

/** Logins of one request that a logout ends. */
const mostEnded = 8

/** Where people sign in. */
const signInPage = '/console'

/** Ends a login for a browser: also the cookies of other applications that kept it from being served. */
function signedOut(req: Request): Answer {
  const headers =
    carriesTwo(req, 'auth_token') || carriesTwo(req, 'refresh_token')
      ? { 'Clear-Site-Data': '"cookies"' }
      : {}
  return isNavigation(req)
    ? { status: 303, headers: { ...headers, Location: signInPage } }
    : { status: 204, headers }
}

/**
 * The refresh token that a browser holds. Two that differ were not both set by us: it is not known whose the
 * request is.
 */
function refreshTokenOf(req: Request): string | undefined {
  const [token, other] = presentedRefreshTokens(req)
  if (other !== undefined)
    throw new GatewayError('header_ambiguous', 'Two different refresh_token cookies were sent')
  return token
}

const loginEndpoint = ({
  config,
  checkPassword,
  requireSecondFactor,
  issueTokens,
  verifyTokenOfAnyAge,
}: Dependencies): Endpoint =>
  endpoint({
    method: 'post',
    path: '/auth/login',
    summary:
      'Sign in with a password; sets the cookies auth_token and refresh_token, and ends the session of those that were sent along. Where a second factor is enrolled, it answers 401 second_factor_required with a challenge',
    access: anyone,
    crossSite: 'always',
    body: credentials,
    answers: { 200: loginAnswer },
    handle: async ({ req, res, body }) => {
      const user = await checkPassword({ ...body, ...originOf(req) })
      if (!user) throw new GatewayError('credentials_invalid', 'Username or password is wrong')
      await requireSecondFactor(user)
      const issued = await issueTokens({
        user,
        authority: 'local',
        passwordHash: user.passwordHash,
        replaces: await loginOfCookies(req, verifyTokenOfAnyAge),
        ...originOf(req),
      })
      setLoginCookies(res, config, issued)
      return signedInAs(user, issued.expiresAt)
    },
  })

const refreshEndpoint = ({ config, refresh }: Dependencies): Endpoint =>
  endpoint({
    method: 'post',
    path: '/auth/refresh',
    summary: 'Exchange the cookie refresh_token for the next one and a new access token; sets both cookies',
    access: anyone,
    crossSite: 'always',
    answers: { 200: loginAnswer },
    handle: async ({ req, res }) => {
      const refreshed = await refresh(refreshTokenOf(req), originOf(req))
      setLoginCookies(res, config, refreshed)
      return signedInAs(refreshed.user, refreshed.expiresAt)
    },
  })

/** Returns the logins that a request shows, by cookies and bearer token, valid or expired. */
async function presentedLogins(
  req: Request,
  verifyTokenOfAnyAge: Dependencies['verifyTokenOfAnyAge'],
): Promise<Presented> {
  const claims = await Promise.all(
    presentedTokens(req).map((token) => verifyTokenOfAnyAge(token).catch(() => undefined)),
  )
  return {
    tokenIds: claims.flatMap((one) => (one ? [one.jti] : [])).slice(0, mostEnded),
    refreshHashes: presentedRefreshTokens(req)
      .map(refreshTokenHash)
      .filter((hash) => hash !== undefined),
  }
}

const logoutEndpoint = ({ config, sql, commitAndAwaitNodes, verifyTokenOfAnyAge }: Dependencies): Endpoint =>
  endpoint({
    method: 'post',
    path: '/auth/logout',
    summary:
      'End the session of either cookie and of the bearer token, valid or expired, and clear the cookies; a form is sent to the sign-in page',
    access: anyone,
    answers: { 204: null, 303: null },
    handle: async ({ req, res }) => {
      await logOut(
        { sql, commitAndAwaitNodes },
        await presentedLogins(req, verifyTokenOfAnyAge),
        originOf(req),
      )
      clearLoginCookies(res, config)
      return signedOut(req)
    },
  })

/** Returns the endpoints for signing in with a password, staying signed in, and signing out. */
export const passwordLoginEndpoints = (deps: Dependencies): Endpoint[] => [
  loginEndpoint(deps),
  refreshEndpoint(deps),
  logoutEndpoint(deps),
]
