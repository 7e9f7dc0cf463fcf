import type { Request, Response } from 'express'
import type { Presented } from '../authentication/end-queries.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import {
  accessCookie,
  cookieValues,
  expireFormerCookies,
  refreshCookie,
  setCookie,
  type CookieConfig,
} from '../http/cookies.js'
import type { IssuedTokens } from './issue-token.js'
import { refreshTokenHash } from './refresh-token.js'

/**
 * Signs a browser in. Both cookies last as long as the refresh token, so that an expired access token can say
 * so instead of being missing.
 */
export function setLoginCookies(
  res: Response,
  config: CookieConfig,
  { token, refreshToken, refreshExpiresInSeconds }: IssuedTokens,
): void {
  expireFormerCookies(res, config)
  setCookie(res, 'auth_token', token, accessCookie(config, refreshExpiresInSeconds))
  setCookie(res, 'refresh_token', refreshToken, refreshCookie(config, refreshExpiresInSeconds))
}

/** Signs a browser out. */
export function clearLoginCookies(res: Response, config: CookieConfig): void {
  expireFormerCookies(res, config)
  setCookie(res, 'auth_token', '', accessCookie(config, 0))
  setCookie(res, 'refresh_token', '', refreshCookie(config, 0))
}

/** Tokens of one request that are looked at. */
const mostPresented = 32

/** The login that a browser's cookies hold, expired or not: what it signs in with anew takes the place of. */
export async function loginOfCookies(
  req: Request,
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>,
): Promise<Presented> {
  const tokens = [
    ...new Set(cookieValues(req.state.cookieHeader, 'auth_token').filter((value) => value !== '')),
  ].slice(0, mostPresented)
  const claims = await Promise.all(tokens.map((token) => verifyTokenOfAnyAge(token).catch(() => undefined)))
  return {
    tokenIds: claims.flatMap((one) => (one ? [one.jti] : [])),
    refreshHashes: presentedRefreshTokens(req)
      .map(refreshTokenHash)
      .filter((hash) => hash !== undefined),
  }
}

/** Returns the refresh tokens that a request's cookies hold, each once and at most 32: usually one. */
export function presentedRefreshTokens(req: Request): string[] {
  return [
    ...new Set(cookieValues(req.state.cookieHeader, 'refresh_token').filter((value) => value !== '')),
  ].slice(0, mostPresented)
}
