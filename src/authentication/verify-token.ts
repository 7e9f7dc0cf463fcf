import { compactVerify } from 'jose'
import { daySeconds } from '../domain/time.js'
import { isUuid } from '../domain/ids.js'
import { GatewayError } from '../errors.js'
import { namesOf } from './precis.js'
import type { TokenKey, TokenKeys } from './token-keys.js'

/**
 * The claims of a token with a valid signature, form and times (RFC 7519). Its row says whether it is still
 * active.
 */
export interface VerifiedClaims {
  username: string
  /** The names under which the user is looked up: as claimed, then as a typed name would be. */
  names: readonly string[]
  userId: string
  jti: string
  /** The claimed authority, of any type. It is compared with the token's row. */
  authority: unknown
  /**
   * The claim `sid`, or `sessionId` when that is absent, null or empty; undefined when the token names no
   * session.
   */
  sessionId: unknown
  /** NumericDate, seconds. */
  expiresAt: number
  /** The id of the key that signed it, whatever its header says. */
  kid: string
}

/** The claims of a token, before they are checked. */
type Claims = Record<string, unknown>

interface SignedClaims {
  claims: Claims
  expiresAt: number
  kid: string
}

const maxTokenBytes = 8192
const maxLifetimeSeconds = 400 * daySeconds
const clockSkewSeconds = 5
const tokenForm = /^[\w.-]+$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Row 2 of the authentication table: one answer for every fault of a token. */
export const tokenInvalid = (cause?: unknown) =>
  new GatewayError('token_invalid', 'Invalid authentication credentials', { cause })

/** Row 3. */
export const tokenExpired = () => new GatewayError('token_expired', 'Token has expired')

/** Decodes a segment in canonical base64url. Libraries tolerate white space, padding and stray bits. */
function segmentBytes(segment: string): Buffer {
  const bytes = Buffer.from(segment, 'base64url')
  if (bytes.toString('base64url') !== segment) throw tokenInvalid()
  return bytes
}

function jsonObject(bytes: Buffer): Claims {
  const value: unknown = JSON.parse(utf8.decode(bytes))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw tokenInvalid()
  return value as Claims
}

function checkHeader(header: Claims, algorithm: string): void {
  if (header.alg !== algorithm || 'crit' in header || 'b64' in header || 'zip' in header) throw tokenInvalid()
  if ('typ' in header && !(typeof header.typ === 'string' && /^(?:at\+)?jwt$/i.test(header.typ)))
    throw tokenInvalid()
}

const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

function checkTimes(claims: Claims, nowSeconds: number): number {
  const { exp, nbf, iat } = claims
  if (!isTime(exp) || (nbf !== undefined && !isTime(nbf)) || (iat !== undefined && !isTime(iat)))
    throw tokenInvalid()
  if (exp > (iat ?? nowSeconds) + maxLifetimeSeconds) throw tokenInvalid()
  if ((nbf ?? 0) > nowSeconds + clockSkewSeconds || (iat ?? 0) > nowSeconds + clockSkewSeconds)
    throw tokenInvalid()
  return exp
}

/**
 * Finds the key by `kid`, which is a hint: if it is absent or unknown, each key is tried. Returns the id of
 * the key that fits.
 */
async function checkSignature(token: string, kid: unknown, keys: TokenKeys): Promise<string> {
  const hinted = keys.verifying.filter((candidate) => candidate.kid === kid)
  const candidates: TokenKey[] = hinted.length > 0 ? hinted : keys.verifying
  for (const { kid: candidate, key } of candidates) {
    try {
      await compactVerify(token, key, { algorithms: [keys.algorithm] })
      return candidate
    } catch {
      // Another key may have signed it.
    }
  }
  throw tokenInvalid()
}

/**
 * Refuses a text with other characters than base64url and dots (RFC 7515 §3.1), or one that is too long. Such
 * a text is never looked up. Throws `token_invalid`.
 */
export function refuseNoToken(text: string): void {
  if (text.length > maxTokenBytes || !tokenForm.test(text)) throw tokenInvalid()
}

async function checkForm(token: string, keys: TokenKeys, nowSeconds: number): Promise<SignedClaims> {
  refuseNoToken(token)
  const segments = token.split('.')
  if (segments.length !== 3) throw tokenInvalid()
  const [header, claims] = segments.map(segmentBytes).slice(0, 2).map(jsonObject) as [Claims, Claims]
  checkHeader(header, keys.algorithm)
  const kid = await checkSignature(token, header.kid, keys)
  const expiresAt = checkTimes(claims, nowSeconds)
  if ('iss' in claims && claims.iss !== 'mandate-gateway') throw tokenInvalid()
  return { claims, expiresAt, kid }
}

/** Decides rows 2 to 4: verifies a token without its row. Throws `token_invalid` or `token_expired`. */
export async function verifyToken(token: string, keys: TokenKeys): Promise<VerifiedClaims> {
  const claims = await verifySignedToken(token, keys)
  if (claims.expiresAt <= Date.now() / 1000) throw tokenExpired()
  return identityOf(claims)
}

/** Like `verifyToken`, but accepts expired tokens, for signing out. */
export async function verifyTokenOfAnyAge(token: string, keys: TokenKeys): Promise<VerifiedClaims> {
  return identityOf(await verifySignedToken(token, keys))
}

async function verifySignedToken(token: string, keys: TokenKeys): Promise<SignedClaims> {
  try {
    return await checkForm(token, keys, Date.now() / 1000)
  } catch (error) {
    throw error instanceof GatewayError ? error : tokenInvalid(error)
  }
}

/** An empty claim counts as absent: earlier systems wrote `"sid": null`. */
const given = (claim: unknown): unknown => (claim === null || claim === '' ? undefined : claim)

function identityOf({ claims, expiresAt, kid }: SignedClaims): VerifiedClaims {
  const { sub, userId, jti } = claims
  if (
    typeof sub !== 'string' ||
    typeof userId !== 'string' ||
    typeof jti !== 'string' ||
    !isUuid(jti) ||
    sub.includes('\0')
  )
    throw tokenInvalid()
  return {
    username: sub,
    names: namesOf(sub),
    userId,
    jti: jti.toLowerCase(),
    authority: claims.authenticationAuthority,
    sessionId: given(claims.sid) ?? given(claims.sessionId),
    expiresAt,
    kid,
  }
}
