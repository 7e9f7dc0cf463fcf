import { createHmac } from 'node:crypto'
import { testSecret } from './gateway.js'

/** Header and claims of a token, as they came out of it or are to go into one. */
export interface TokenParts {
  header: Record<string, unknown>
  claims: Record<string, unknown>
}

/** A segment of a token: bytes and texts as they are, everything else as JSON. */
export function segmentOf(value: unknown): string {
  const bytes = Buffer.isBuffer(value) || typeof value === 'string' ? value : JSON.stringify(value)
  return Buffer.from(bytes as string).toString('base64url')
}

/**
 * HMAC over two segments, whatever they say: tokens that no library would make. The secret counts as its
 * UTF-8 bytes.
 */
export function signSegments(
  header: string,
  claims: string,
  { secret = testSecret, hash = 'sha256' }: { secret?: string | Buffer; hash?: string } = {},
): string {
  return `${header}.${claims}.${createHmac(hash, secret).update(`${header}.${claims}`).digest('base64url')}`
}

/** Signs header and claims (values, JSON text or bytes) with the secret of the tests. */
export const signByHand = (
  header: unknown,
  claims: unknown,
  options: Parameters<typeof signSegments>[2] = {},
) => signSegments(segmentOf(header), segmentOf(claims), options)

/** What a token says, unchecked. */
export function partsOf(token: string): TokenParts {
  const [header, claims] = token
    .split('.')
    .slice(0, 2)
    .map((segment) => JSON.parse(Buffer.from(segment, 'base64url').toString()) as Record<string, unknown>)
  if (!header || !claims) throw new Error('this is no token')
  return { header, claims }
}
