import { createHash, createPrivateKey, createPublicKey, subtle, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, importJWK, type CryptoKey, type JWK } from 'jose'
import { ConfigError, type Config } from '../config.js'

/** A key by its id (RFC 7515 §4.1.4). The id tells nothing about the key. */
export interface TokenKey {
  kid: string
  key: CryptoKey
}

/**
 * The one algorithm of access tokens, the key that signs, and all keys that verify (the signing one first).
 */
export interface TokenKeys {
  algorithm: Config['AUTH_ALGORITHM']
  signing: TokenKey
  verifying: TokenKey[]
}

async function symmetricKey(secret: string, algorithm: string): Promise<TokenKey> {
  const bytes = new TextEncoder().encode(secret)
  const kid = createHash('sha256')
    .update('mandate-gateway kid ')
    .update(bytes)
    .digest('base64url')
    .slice(0, 12)
  return {
    kid,
    key: await subtle.importKey('raw', bytes, { name: 'HMAC', hash: `SHA-${algorithm.slice(2)}` }, false, [
      'sign',
      'verify',
    ]),
  }
}

/** What each asymmetric algorithm requires of its key. */
const fits: Record<string, (key: KeyObject) => boolean> = {
  ES256: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1',
  RS256: (key) => key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048,
  EdDSA: (key) => key.asymmetricKeyType === 'ed25519',
}

async function keyPair(
  variable: string,
  value: string,
  algorithm: string,
): Promise<{ signing: TokenKey; verifying: TokenKey }> {
  let key: KeyObject
  try {
    key = value.trimStart().startsWith('{')
      ? createPrivateKey({ key: JSON.parse(value) as JWK, format: 'jwk' })
      : createPrivateKey(value.replaceAll('\\n', '\n'))
  } catch {
    throw new ConfigError([`${variable}: is neither a private key in PEM nor a private JWK`])
  }
  if (!fits[algorithm]?.(key))
    throw new ConfigError([
      `${variable}: is no key for ${algorithm} (P-256 for ES256, RSA of 2048 bits or more for RS256, Ed25519 for EdDSA)`,
    ])
  const publicJwk = createPublicKey(key).export({ format: 'jwk' }) as JWK
  const kid = (await calculateJwkThumbprint(publicJwk)).slice(0, 12)
  const asCryptoKey = async (jwk: JWK) => (await importJWK(jwk, algorithm)) as CryptoKey
  return {
    signing: { kid, key: await asCryptoKey(key.export({ format: 'jwk' })) },
    verifying: { kid, key: await asCryptoKey(publicJwk) },
  }
}

/** Loads the access-token keys in the configuration. Throws a ConfigError for an unusable key. */
export async function loadTokenKeys(
  config: Pick<
    Config,
    | 'AUTH_ALGORITHM'
    | 'APP_JWT_KEY_SECRET'
    | 'APP_JWT_KEY_SECRET_PREVIOUS'
    | 'APP_JWT_PRIVATE_KEY'
    | 'APP_JWT_PRIVATE_KEY_PREVIOUS'
  >,
): Promise<TokenKeys> {
  const algorithm = config.AUTH_ALGORITHM
  if (algorithm.startsWith('HS')) {
    if (!config.APP_JWT_KEY_SECRET) throw new ConfigError(['APP_JWT_KEY_SECRET: must be set'])
    const current = await symmetricKey(config.APP_JWT_KEY_SECRET, algorithm)
    const previous = config.APP_JWT_KEY_SECRET_PREVIOUS
    return {
      algorithm,
      signing: current,
      verifying: [current, ...(previous ? [await symmetricKey(previous, algorithm)] : [])],
    }
  }
  if (!config.APP_JWT_PRIVATE_KEY)
    throw new ConfigError([`APP_JWT_PRIVATE_KEY: must be set with AUTH_ALGORITHM=${algorithm}`])
  const current = await keyPair('APP_JWT_PRIVATE_KEY', config.APP_JWT_PRIVATE_KEY, algorithm)
  const previous = config.APP_JWT_PRIVATE_KEY_PREVIOUS
  return {
    algorithm,
    signing: current.signing,
    verifying: [
      current.verifying,
      ...(previous ? [(await keyPair('APP_JWT_PRIVATE_KEY_PREVIOUS', previous, algorithm)).verifying] : []),
    ],
  }
}
