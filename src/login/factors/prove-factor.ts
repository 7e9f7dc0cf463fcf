import type { AuditLog } from '../../audit/audit-log.js'
import { recordChange } from '../../audit/record-change.js'
import type { Config } from '../../config.js'
import type { Database, Tx } from '../../database/connect.js'
import type { Language } from '../../domain/languages.js'
import type { Sealing } from '../../domain/sealing.js'
import { GatewayError } from '../../errors.js'
import { queueNotice } from '../../messages/notice.js'
import type { Outbox } from '../../messages/outbox.js'
import type { Origin } from '../issue-token.js'
import { byCode, byPasskey, type Proven } from '../proven.js'
import { spend, type Challenge } from './challenges.js'
import { endRow } from './failure-queries.js'
import { limitCodes } from './limit-codes.js'
import { findPasskey, usePasskey } from './passkey-queries.js'
import { relyingPartyOf, verifyPasskey, type AssertionResponse } from './passkeys.js'
import { useRecoveryCode } from './recovery-codes.js'
import { isTotpCode, stepOfCode } from './totp.js'
import { listTotps, useTotpStep } from './totp-queries.js'

/** One answer of these: a code of an authenticator app, a recovery code, or what a passkey signed. */
export interface FactorAnswer {
  code?: string | undefined
  recoveryCode?: string | undefined
  response?: AssertionResponse | undefined
}

/** Who answers, and from where. */
export interface Answering extends Origin {
  userId: string
  language: Language
  /** The session that is proved again, if it was proved by a factor before. */
  provenSessionId?: string | undefined
}

/** A factor that was proved. */
export interface ProvenFactor extends Proven {
  /** The factor; undefined for a recovery code. */
  factorId: string | undefined
}

export interface FactorDependencies {
  database: Database
  config: Pick<Config, 'RATE_LIMIT_FACTOR' | 'WEBAUTHN_RP_ID' | 'CORS_ORIGINS'>
  publicUrl: () => string
  audit: Pick<AuditLog, 'recordRefusal'>
  outbox: Outbox
  sealing: Sealing
}

/** Returns the refusal of an answer: it does not say what is wrong with it. */
export const factorInvalid = () =>
  new GatewayError('factor_invalid', 'This code or passkey is not right, or has been used. Try again.')

/**
 * Proves a person by a second factor, and uses the answer up. Throws `factor_invalid`, and `rate_limited` for a
 * code after too many wrong ones.
 */
export type ProveFactor = (
  who: Answering,
  answer: FactorAnswer,
  challenge?: Challenge,
) => Promise<ProvenFactor>

/** Notes that a person was proved by something that opens the codes again. */
async function useChallenge(tx: Tx, challenge: Challenge | undefined, userId: string): Promise<boolean> {
  return challenge === undefined || (await spend(tx, challenge, userId))
}

/** Creates it. Wrong answers are audited and counted; what was typed is not kept. */
export function createProveFactor({
  database,
  config,
  publicUrl,
  audit,
  outbox,
  sealing,
}: FactorDependencies): ProveFactor {
  const byTotp = async (who: Answering, code: string, challenge?: Challenge) => {
    let factorId: string | undefined
    const { isRight, isLimitReached } = await database.transaction(async (tx) => {
      const limited = await limitCodes(tx, config.RATE_LIMIT_FACTOR, who, async () => {
        for (const { id, sealedSecret } of await listTotps(tx, who.userId)) {
          const secret = sealing.unseal(sealedSecret)
          const step = secret === undefined ? undefined : stepOfCode(code, secret, Date.now())
          if (step === undefined || !(await useTotpStep(tx, id, step))) continue
          factorId = id
          return await useChallenge(tx, challenge, who.userId)
        }
        return false
      })
      if (limited.isLimitReached)
        await queueNotice(outbox, tx, { userId: who.userId, event: 'factor_guessed', language: who.language })
      return limited
    })
    return { proven: isRight ? { ...byCode, factorId } : undefined, isLimitReached }
  }

  const byRecoveryCode = async (who: Answering, code: string, challenge?: Challenge) => {
    const { userId, requestId, address, language } = who
    const used = await database.transaction(async (tx) => {
      if (!(await useRecoveryCode(tx, userId, code)) || !(await useChallenge(tx, challenge, userId)))
        return false
      await endRow(tx, userId)
      await recordChange(tx, {
        actor: { userId, requestId, address },
        mandateId: 'system',
        action: 'recovery_code_used',
        subject: `user:${userId}`,
      })
      await queueNotice(outbox, tx, { userId, event: 'recovery_code_used', language })
      return true
    })
    return { proven: used ? { ...byCode, factorId: undefined } : undefined }
  }

  const byResponse = async (who: Answering, response: AssertionResponse, challenge?: Challenge) => {
    const passkey = await findPasskey(database, response.id)
    if (!challenge || passkey?.userId !== who.userId) return { proven: undefined }
    const party = relyingPartyOf(config, publicUrl())
    const used = await verifyPasskey(party, challenge.webauthn, response, passkey)
    if (!used) return { proven: undefined }
    const counted = await database.transaction(async (tx) => {
      if (!(await spend(tx, challenge, who.userId))) return false
      if (!(await usePasskey(tx, passkey.id, used.signCount))) return false
      await endRow(tx, who.userId)
      return true
    })
    return { proven: counted ? { ...byPasskey(used.device), factorId: passkey.id } : undefined }
  }

  const check = (who: Answering, { code, recoveryCode, response }: FactorAnswer, challenge?: Challenge) => {
    if (response !== undefined) return byResponse(who, response, challenge)
    if (recoveryCode !== undefined) return byRecoveryCode(who, recoveryCode, challenge)
    return byTotp(who, code ?? '', challenge)
  }

  return async (who, answer, challenge) => {
    const { proven } = await check(who, answer, challenge)
    if (proven) return proven
    audit.recordRefusal({
      userId: who.userId,
      mandateId: 'system',
      action: 'factor_failed',
      details: { address: who.address, by: Object.keys(answer).find((key) => key !== 'challenge') ?? 'code' },
      requestId: who.requestId,
    })
    throw factorInvalid()
  }
}

/** Returns the answer that an `otp` is: a code of six digits, or a recovery code. */
export const answerOfOtp = (otp: string): FactorAnswer =>
  isTotpCode(otp) ? { code: otp } : { recoveryCode: otp }
