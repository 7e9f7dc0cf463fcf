import { z } from 'zod'
import { presentedTokens } from '../authentication/authenticate.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import type { Coherent } from '../coherence/coherent.js'
import type { User } from '../coherence/directory.js'
import type { Config } from '../config.js'
import { GatewayError } from '../errors.js'
import { accessCookie, refreshCookie, setCookie } from '../http/cookies.js'
import { endpoint, type Endpoint } from '../http/endpoint.js'
import { anyone } from '../http/policy.js'
import type { CheckPassword } from './check-password.js'
import type { IssuedToken, Login } from './issue-token.js'
import { userSchema, usernameInput } from './schemas.js'
import { endLogins } from './session-queries.js'

interface Dependencies {
  config: Pick<Config, 'COOKIE_SAMESITE' | 'COOKIE_SECURE' | 'APP_REFRESH_TOKEN_EXPIRY'>
  coherent: Coherent
  checkPassword: CheckPassword
  issueTokens: (login: Login) => Promise<IssuedToken>
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>
}

const credentials = z.strictObject({ username: usernameInput, password: z.string().min(1) })
const loginAnswer = z.strictObject({ user: userSchema, expiresAt: z.iso.datetime() })
const secondsOfDay = 24 * 60 * 60

function shown({ id, username, email, fullName, isSysAdmin, isPlatformAdmin }: User): User {
  return { id, username, email, fullName, isSysAdmin, isPlatformAdmin }
}

/** Signing in with a password and a cookie, and signing out. */
export function loginEndpoints({ config, coherent, checkPassword, issueTokens, verifyTokenOfAnyAge }: Dependencies): Endpoint[] {
  const login = endpoint({
    method: 'post',
    path: '/auth/login',
    summary: 'Sign in with a password; sets the cookie auth_token',
    access: anyone,
    crossSite: 'always',
    body: credentials,
    answers: { 200: loginAnswer },
    handle: async ({ req, res, body }) => {
      const user = await checkPassword({ ...body, address: req.clientAddress })
      if (!user) throw new GatewayError('credentials_invalid', 'Username or password is wrong')
      const { token, expiresAt } = await issueTokens({
        user, authority: 'local', address: req.clientAddress, userAgent: req.headers['user-agent'] ?? null,
      })
      // As long as the session, so that an expired token can say so instead of being missing.
      setCookie(res, 'auth_token', token, accessCookie(config, config.APP_REFRESH_TOKEN_EXPIRY * secondsOfDay))
      return { status: 200, body: { user: shown(user), expiresAt: expiresAt.toISOString() } }
    },
  })

  const logout = endpoint({
    method: 'post',
    path: '/auth/logout',
    summary: 'End the session of the cookie or bearer token, valid or expired, and clear the cookies',
    access: anyone,
    answers: { 204: null },
    handle: async ({ req, res }) => {
      const claims = await Promise.all(presentedTokens(req).map((token) => verifyTokenOfAnyAge(token).catch(() => undefined)))
      const tokenIds = claims.flatMap((one) => one ? [one.jti] : [])
      if (tokenIds.length > 0) await coherent((tx) => endLogins(tx, tokenIds))
      setCookie(res, 'auth_token', '', accessCookie(config, 0))
      setCookie(res, 'refresh_token', '', refreshCookie(config, 0))
      return { status: 204 }
    },
  })

  return [login, logout]
}
