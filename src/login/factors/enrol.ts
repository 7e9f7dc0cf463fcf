import { randomUUID } from 'node:crypto'
import { recordChange, type Actor } from '../../audit/record-change.js'
import type { Tx } from '../../database/connect.js'
import type { Language } from '../../domain/languages.js'
import { reason } from '../../domain/reasons.js'
import { GatewayError, notFound } from '../../errors.js'
import { queueNotice } from '../../messages/notice.js'
import type { Person } from '../fresh-proof.js'
import { spend, type Challenge } from './challenges.js'
import { findFactor, listFactors, lockFactorOwner, type Factor } from './factor-queries.js'
import { insertPasskey } from './passkey-queries.js'
import { relyingPartyOf, verifyNewPasskey, type RegistrationResponse } from './passkeys.js'
import { factorInvalid, type FactorDependencies } from './prove-factor.js'
import { issueRecoveryCodes } from './recovery-codes.js'
import { makeTotpSecret, stepOfCode, totpUri } from './totp.js'
import { findPendingTotp, insertPendingTotp, insertTotp } from './totp-queries.js'

/** A factor that was added, with recovery codes where it is the user's first. */
export interface AddedFactor extends Factor {
  recoveryCodes?: string[]
}

interface Adding {
  person: Person
  actor: Actor
  language: Language
}

type Dependencies = Pick<FactorDependencies, 'database' | 'config' | 'publicUrl' | 'outbox' | 'sealing'>

const mostFactors = 20
const confirmWithinSeconds = 3600

/** Refuses more factors than anybody needs. */
async function refuseTooMany(tx: Tx, userId: string): Promise<Factor[]> {
  await lockFactorOwner(tx, userId)
  const factors = await listFactors(tx, userId)
  if (factors.length >= mostFactors)
    throw new GatewayError('conflict', reason('too_many_factors', { max: mostFactors }))
  return factors
}

/** Tells of a factor that was added, and makes recovery codes where it is the first. */
async function settle(
  { outbox }: Pick<Dependencies, 'outbox'>,
  tx: Tx,
  { person: { userId }, actor, language }: Adding,
  id: string,
  isFirst: boolean,
): Promise<AddedFactor> {
  const factor = await findFactor(tx, id, userId)
  if (!factor) throw new Error('a factor that was added is not there')
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'factor_added',
    subject: `user:${userId}`,
    after: { factor: id, kind: factor.kind },
  })
  await queueNotice(outbox, tx, { userId, event: 'factor_added', language })
  return isFirst ? { ...factor, recoveryCodes: await issueRecoveryCodes(tx, userId) } : factor
}

/** Begins to add an authenticator app: its secret counts after `confirmTotp`, within an hour. */
export async function beginTotp(
  { database, sealing }: Dependencies,
  { userId, principal }: Person,
  label: string,
): Promise<{ id: string; secret: string; uri: string }> {
  const id = randomUUID()
  const secret = makeTotpSecret()
  await database.transaction(async (tx) => {
    await refuseTooMany(tx, userId)
    const pending = { id, userId, label, sealedSecret: sealing.seal(secret), seconds: confirmWithinSeconds }
    await insertPendingTotp(tx, pending)
  })
  return { id, secret, uri: totpUri(secret, principal.user.username) }
}

/** Adds an authenticator app by a code of it. Throws `not_found`, and `factor_invalid` for a wrong code. */
export async function confirmTotp(
  deps: Dependencies,
  adding: Adding,
  { id, code }: { id: string; code: string },
): Promise<AddedFactor> {
  const { userId } = adding.person
  return await deps.database.transaction(async (tx) => {
    const factors = await refuseTooMany(tx, userId)
    const pending = await findPendingTotp(tx, id, userId)
    if (!pending) throw notFound()
    const secret = deps.sealing.unseal(pending.sealedSecret)
    const lastStep = secret === undefined ? undefined : stepOfCode(code, secret, Date.now())
    if (lastStep === undefined) throw factorInvalid()
    await insertTotp(tx, { id, userId, ...pending, lastStep })
    return await settle(deps, tx, adding, id, factors.length === 0)
  })
}

/**
 * Adds a passkey that was made for the challenge. Throws `factor_invalid`, and `conflict` for a credential that
 * is known already, of whomever.
 */
export async function addPasskey(
  deps: Dependencies,
  adding: Adding,
  made: { challenge: Challenge; response: RegistrationResponse; label: string },
): Promise<AddedFactor> {
  const { userId } = adding.person
  const party = relyingPartyOf(deps.config, deps.publicUrl())
  const passkey = await verifyNewPasskey(party, made.challenge.webauthn, made.response)
  if (!passkey) throw factorInvalid()
  const id = randomUUID()
  return await deps.database.transaction(async (tx) => {
    const factors = await refuseTooMany(tx, userId)
    if (!(await spend(tx, made.challenge, userId))) throw factorInvalid()
    if (!(await insertPasskey(tx, { id, userId, label: made.label, ...passkey })))
      throw new GatewayError('conflict', reason('passkey_taken'))
    return await settle(deps, tx, adding, id, factors.length === 0)
  })
}
