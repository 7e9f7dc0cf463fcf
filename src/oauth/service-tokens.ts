import { randomUUID } from 'node:crypto'
import { recordChange } from '../audit/record-change.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { Config } from '../config.js'
import type { Database, Tx } from '../database/connect.js'
import { clientInvalid, type AuthenticatedClient } from './authenticated-client.js'
import { signAccessToken, type IssuedToken, type Origin } from '../login/issue-token.js'
import { insertAccessToken, lockLoginUser } from '../login/session-queries.js'

interface Dependencies {
  database: Database
  keys: TokenKeys
  config: Pick<Config, 'APP_TOKEN_EXPIRY'>
}

/**
 * Gives a program an access token, without a session and without a refresh token (RFC 6749 §4.4.3). Throws
 * `client_invalid` where its credential is good no more.
 */
export type IssueClientToken = (client: AuthenticatedClient, origin: Origin) => Promise<IssuedToken>

/** Issues such tokens. What a token was given for is its label: with the credential goes what it gave. */
export function issueClientTokens({ database, keys, config }: Dependencies): IssueClientToken {
  return async ({ account, credential, use }, { requestId, address }) => {
    const issuedAt = Math.floor(Date.now() / 1000)
    const access = {
      id: randomUUID(),
      user: account,
      authority: 'local',
      sessionId: null,
      issuedAt: new Date(issuedAt * 1000),
      expiresAt: new Date((issuedAt + config.APP_TOKEN_EXPIRY * 60) * 1000),
    }
    const token = await signAccessToken(keys, access)
    await database.transaction(async (tx) => {
      if (!(await lockLoginUser(tx, account.id)) || !(await use(tx))) throw clientInvalid()
      await insertAccessToken(tx, {
        ...access,
        userId: account.id,
        kid: keys.signing.kid,
        ...(credential === undefined ? {} : { label: credential }),
      })
      await recordChange(tx, {
        actor: { userId: account.id, requestId, address },
        mandateId: 'system',
        action: 'token_issued',
        subject: `token:${access.id}`,
        after: { credential: credential ?? 'password' },
      })
    })
    return { token, expiresAt: access.expiresAt }
  }
}

/** Makes a long-lived token with a row of its own, in the transaction of whoever asks for it. */
export async function makeApiToken(
  tx: Tx,
  keys: TokenKeys,
  {
    user,
    label,
    expiresAt,
    createdBy = null,
  }: { user: { id: string; username: string }; label: string; expiresAt: Date; createdBy?: string | null },
): Promise<{ id: string; token: string }> {
  const access = {
    id: randomUUID(),
    user,
    authority: 'local',
    sessionId: null,
    issuedAt: new Date(Math.floor(Date.now() / 1000) * 1000),
    expiresAt,
  }
  await insertAccessToken(tx, {
    ...access,
    purpose: 'api_token',
    userId: user.id,
    label,
    createdBy,
    kid: keys.signing.kid,
  })
  return { id: access.id, token: await signAccessToken(keys, access) }
}
