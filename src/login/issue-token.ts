import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { Database } from '../database/connect.js'
import { insertAccessToken, insertSession } from './session-queries.js'

/** A signed access token, and until when it counts. */
export interface IssuedToken {
  token: string
  expiresAt: Date
}

/** Who logged in, and from where. */
export interface Login {
  user: { id: string; username: string }
  authority: 'local' | 'google' | 'msft'
  address: string
  userAgent: string | null
}

interface Dependencies {
  database: Database
  keys: TokenKeys
  expiryMinutes: number
}

/** Begins a session and issues its access token (RFC 7519; `typ` as RFC 9068 has it). Session and token are written together or not at all. */
export function issueTokens({ database, keys, expiryMinutes }: Dependencies): (login: Login) => Promise<IssuedToken> {
  return async ({ user, authority, address, userAgent }) => {
    const sessionId = randomUUID()
    const tokenId = randomUUID()
    const issuedAt = Math.floor(Date.now() / 1000)
    const expiresAt = issuedAt + expiryMinutes * 60
    const token = await new SignJWT({ userId: user.id, authenticationAuthority: authority, sid: sessionId })
      .setProtectedHeader({ alg: keys.algorithm, typ: 'at+jwt', kid: keys.signing.kid })
      .setSubject(user.username).setJti(tokenId).setIssuer('mandate-gateway').setIssuedAt(issuedAt).setExpirationTime(expiresAt)
      .sign(keys.signing.key)
    await database.transaction(async (tx) => {
      await insertSession(tx, { id: sessionId, userId: user.id, authority, address, userAgent })
      await insertAccessToken(tx, {
        id: tokenId, userId: user.id, authority, sessionId, issuedAt: new Date(issuedAt * 1000), expiresAt: new Date(expiresAt * 1000),
      })
    })
    return { token, expiresAt: new Date(expiresAt * 1000) }
  }
}
