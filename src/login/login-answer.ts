import { z } from 'zod'
import type { User } from '../coherence/directory.js'
import type { Answer } from '../http/endpoint/endpoint.js'
import type { IssuedToken, IssuedTokens } from './issue-token.js'
import { userSchema } from './schemas.js'

/** The body of a login by cookies. */
export const loginAnswer = z.strictObject({ user: userSchema, expiresAt: z.iso.datetime() })

/** Returns the answer to a login by cookies. */
export const signedInAs = (
  { id, username, email, fullName, isSysAdmin, isPlatformAdmin }: User,
  expiresAt: Date,
): Answer => ({
  status: 200,
  body: {
    user: { id, username, email, fullName, isSysAdmin, isPlatformAdmin },
    expiresAt: expiresAt.toISOString(),
  },
})

/** The body of a login without cookies (RFC 6749 §5.1). */
export const tokenAnswer = z.strictObject({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.int(),
  refresh_token: z.string().optional(),
})

/** Returns the answer to a login without cookies. */
export const given = ({ token, expiresAt, refreshToken }: IssuedToken & Partial<IssuedTokens>): Answer => ({
  status: 200,
  body: {
    access_token: token,
    token_type: 'Bearer',
    expires_in: Math.max(0, Math.round((expiresAt.getTime() - Date.now()) / 1000)),
    refresh_token: refreshToken,
  },
})
