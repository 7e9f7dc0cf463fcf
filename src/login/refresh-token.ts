import { createHmac, hkdfSync } from 'node:crypto'
import type { Config } from '../config.js'
import { GatewayError } from '../errors.js'
import { hashSecret } from '../domain/secrets.js'

/**
 * Refresh tokens are 256 random bits, or look like it, in base64url: nothing can be read from one, and only
 * its hash is stored.
 */
const form = /^[A-Za-z0-9_-]{43}$/

/** What is stored of a token. Undefined for what is none, of which the database need not be asked. */
export function refreshTokenHash(token: string): string | undefined {
  return form.test(token) ? hashSecret(token) : undefined
}

/** A token that follows a spent one. */
interface Successor {
  token: string
  hash: string
}

/**
 * Derives from a spent token the one that follows it: whoever spends it twice is given the same, though only
 * hashes are stored.
 */
export interface Succession {
  /**
   * `accessTokenId` is the access token that was issued with it: without the database the secret alone tells
   * nothing.
   */
  next: (spent: string, accessTokenId: string) => Successor
  /**
   * The one whose hash was stored, also if it was derived with the previous secret; undefined if it was with
   * neither.
   */
  again: (spent: string, accessTokenId: string, storedHash: string) => string | undefined
}

const keyOf = (secret: string) =>
  new Uint8Array(hkdfSync('sha256', Buffer.from(secret, 'utf8'), '', 'mandate-gateway refresh tokens', 32))
const derive = (secret: string, spent: string, accessTokenId: string) =>
  createHmac('sha256', keyOf(secret)).update(`${spent} ${accessTokenId}`).digest('base64url')

/** Derives with SECRET_KEY; what was derived with the previous one is found, too. */
export function createSuccession({
  SECRET_KEY: secret,
  SECRET_KEY_PREVIOUS: previous,
}: Pick<Config, 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS'>): Succession {
  return {
    next: (spent, accessTokenId) => {
      if (secret === undefined) throw new GatewayError('internal_error', 'Internal error')
      const token = derive(secret, spent, accessTokenId)
      return { token, hash: hashSecret(token) }
    },
    again: (spent, accessTokenId, storedHash) =>
      [secret, previous]
        .filter((one) => one !== undefined)
        .map((one) => derive(one, spent, accessTokenId))
        .find((token) => hashSecret(token) === storedHash),
  }
}
