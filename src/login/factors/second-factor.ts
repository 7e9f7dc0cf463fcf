import type { Database } from '../../database/connect.js'
import { hashSecret } from '../../domain/secrets.js'
import type { Config } from '../../config.js'
import { GatewayError } from '../../errors.js'
import type { LoginUser } from '../session-queries.js'
import type { Challenges } from './challenges.js'
import { findEnrolled } from './factor-queries.js'
import { listPasskeys } from './passkey-queries.js'
import { relyingPartyOf, requestOptions } from './passkeys.js'

interface Dependencies {
  database: Database
  config: Pick<Config, 'WEBAUTHN_RP_ID' | 'CORS_ORIGINS'>
  publicUrl: () => string
  challenges: Challenges
}

/** Stands for a password in a challenge, which is void once it changed. */
export const passwordMarkOf = (passwordHash: string | null) =>
  passwordHash === null ? null : hashSecret(`password ${passwordHash}`)

/** Refuses a right password where a factor is enrolled: `second_factor_required`, with a challenge. */
export type RequireSecondFactor = (user: LoginUser) => Promise<void>

/** Creates it. The challenge says what was proved, for 300 s. */
export function requireSecondFactor({
  database,
  config,
  publicUrl,
  challenges,
}: Dependencies): RequireSecondFactor {
  return async ({ id, passwordHash }) => {
    const enrolled = await findEnrolled(database, id)
    if (!enrolled || enrolled.kinds.length === 0) return
    const { challenge, sealed } = challenges.make({
      purpose: 'login',
      userId: id,
      passwordMark: passwordMarkOf(passwordHash),
    })
    const passkeys = enrolled.kinds.includes('passkey') ? await listPasskeys(database, id) : []
    throw new GatewayError('second_factor_required', 'The password is right. Prove a second factor, too.', {
      members: {
        challenge: sealed,
        factors: enrolled.kinds,
        passkey:
          passkeys.length > 0
            ? await requestOptions(relyingPartyOf(config, publicUrl()), challenge.webauthn, passkeys)
            : null,
      },
    })
  }
}
