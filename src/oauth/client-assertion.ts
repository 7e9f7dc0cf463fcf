import {
  calculateJwkThumbprint,
  decodeJwt,
  decodeProtectedHeader,
  importJWK,
  jwtVerify,
  type JWK,
  type JWTPayload,
} from 'jose'
import { z } from 'zod'
import type { Database, Tx } from '../database/connect.js'
import { clientInvalid, type AuthenticatedClient } from './authenticated-client.js'
import { hashSecret } from '../domain/secrets.js'
import {
  findServiceAccount,
  listGoodKeys,
  takeAssertion,
  useCredential,
  type ServiceAccount,
  type StoredServiceKey,
} from './service-credential-queries.js'

/** RFC 7523 §2.2. */
export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** An assertion is for one request that is sent right away. */
const longestSeconds = 600
const clockSkewSeconds = 5

/** Checks an assertion (RFC 7523 §3) as far as it can be without using it. Throws `client_invalid`. */
export type CheckAssertion = (assertion: string, clientId: string | undefined) => Promise<AuthenticatedClient>

/** Public keys that accounts may register, by the algorithm that each is good for. */
const publicKeys = z.union([
  z
    .object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string() })
    .transform((jwk) => ({ algorithm: 'ES256', jwk })),
  z
    .object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() })
    .transform((jwk) => ({ algorithm: 'EdDSA', jwk })),
  z
    .object({
      kty: z.literal('RSA'),
      n: z.string().refine((n) => Buffer.from(n, 'base64url').length >= 256),
      e: z.string(),
    })
    .transform((jwk) => ({ algorithm: 'RS256', jwk })),
])

/**
 * The public key of a JWK, with the id that it is known by (RFC 7638). Undefined for what is no public key of
 * a kind that is taken, a private one too.
 */
export async function readPublicKey(
  value: Record<string, unknown>,
): Promise<{ algorithm: string; publicJwk: JWK; kid: string } | undefined> {
  const parsed = 'd' in value || 'k' in value ? undefined : publicKeys.safeParse(value)
  if (!parsed?.success) return undefined
  const { algorithm, jwk } = parsed.data
  try {
    await importJWK(jwk, algorithm)
    return { algorithm, publicJwk: jwk, kid: await calculateJwkThumbprint(jwk) }
  } catch {
    return undefined // well formed, and a point of no curve
  }
}

/** What nobody has signed may be anything: what cannot be read is absent. */
function unverified<Part>(read: () => Part): Part | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

const kidOf = (assertion: string): unknown => unverified(() => decodeProtectedHeader(assertion).kid)

const subjectOf = (assertion: string): unknown => unverified(() => decodeJwt(assertion).sub)

/** The key that signed it: the one that it names, else each is tried. */
async function verifyWith(
  keys: StoredServiceKey[],
  assertion: string,
  expected: { audience: string[]; issuer: string; subject: string },
): Promise<{ key: StoredServiceKey; claims: JWTPayload } | undefined> {
  const kid = kidOf(assertion)
  const named = keys.filter((key) => key.kid === kid)
  for (const key of named.length > 0 ? named : keys) {
    try {
      const { payload } = await jwtVerify(assertion, await importJWK(key.publicJwk, key.algorithm), {
        algorithms: [key.algorithm],
        ...expected,
        clockTolerance: clockSkewSeconds,
        requiredClaims: ['exp', 'jti'],
      })
      return { key, claims: payload }
    } catch {
      // Another key may have signed it.
    }
  }
  return undefined
}

const isShortLived = ({ exp = Infinity, iat = 0 }: JWTPayload, nowSeconds: number) =>
  exp <= nowSeconds + longestSeconds + clockSkewSeconds && iat <= nowSeconds + clockSkewSeconds

/** Returns the enabled account that an assertion names, and its subject. Throws `client_invalid`. */
async function accountOf(
  database: Database,
  assertion: string,
  clientId: string | undefined,
): Promise<{ account: ServiceAccount; subject: string }> {
  const subject = subjectOf(assertion)
  if (
    typeof subject !== 'string' ||
    subject.includes('\0') ||
    (clientId !== undefined && clientId !== subject)
  )
    throw clientInvalid()
  const account = await findServiceAccount(database, subject)
  if (!account?.enabled) throw clientInvalid()
  return { account, subject }
}

/**
 * Returns the check of assertions (RFC 7523). They name the account as issuer and subject, and this gateway,
 * or its token endpoint, as audience. Each is good for one use on all nodes.
 */
export function checkAssertions({
  database,
  publicUrl,
}: {
  database: Database
  publicUrl: () => string
}): CheckAssertion {
  return async (assertion, clientId) => {
    const { account, subject } = await accountOf(database, assertion, clientId)
    const verified = await verifyWith(await listGoodKeys(database, account.id), assertion, {
      audience: [publicUrl(), `${publicUrl()}/`, `${publicUrl()}/auth/token`],
      issuer: subject,
      subject,
    })
    const { jti, exp } = verified?.claims ?? {}
    const isGood = verified && exp !== undefined && isShortLived(verified.claims, Date.now() / 1000)
    if (!isGood || typeof jti !== 'string') throw clientInvalid()
    const { key } = verified
    const use = async (tx: Tx) =>
      (await useCredential(tx, 'key', key.id)) &&
      (await takeAssertion(tx, {
        userId: account.id,
        jtiHash: hashSecret(jti),
        expiresAt: new Date((exp + clockSkewSeconds) * 1000),
      }))
    return { account, credential: `key:${key.id}`, use, show: () => database.transaction(use) }
  }
}
