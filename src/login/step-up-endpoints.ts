import type { Request } from 'express'
import { z } from 'zod'
import { proofOf } from '../authentication/proof.js'
import { fieldError } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { cookieValue } from '../http/cookies.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { signedIn } from '../http/endpoint/policy.js'
import type { CheckPassword } from './check-password.js'
import { beginAttempt } from './factors/challenges.js'
import { answeringOf, factorAnswer, type FactorLoginDependencies } from './factors/factor-login-endpoints.js'
import { listPasskeys } from './factors/passkey-queries.js'
import { relyingPartyOf, requestOptions } from './factors/passkeys.js'
import { factorInvalid } from './factors/prove-factor.js'
import { personOf, type Person } from './fresh-proof.js'
import { originOf } from './issue-token.js'
import { given, loginAnswer, signedInAs, tokenAnswer } from './login-answer.js'
import { setLoginCookies } from './login-cookies.js'
import { byPassword, type Proven } from './proven.js'
import type { StepUp } from './step-up.js'

interface Dependencies extends FactorLoginDependencies {
  checkPassword: CheckPassword
  stepUp: StepUp
}

const proof = z
  .strictObject({
    password: z.string().min(1),
    challenge: z.string().meta({ description: 'of /auth/step-up/options, with response' }),
    ...factorAnswer,
  })
  .partial()
  .refine(
    ({ password, code, recoveryCode, response }) =>
      [password, code, recoveryCode, response].filter(Boolean).length === 1,
    fieldError('one_proof'),
  )
  .refine(({ challenge, response }) => (challenge === undefined) === (response === undefined), {
    path: ['challenge'],
    ...fieldError('challenge_and_response'),
  })
type Proof = z.infer<typeof proof>

/** Returns what somebody proves again. Throws `credentials_invalid`, `factor_invalid` or `rate_limited`. */
async function prove(
  { checkPassword, challenges, proveFactor, database }: Dependencies,
  req: Request,
  { userId, sessionId, principal }: Person,
  { password, challenge: sealed, ...answer }: Proof,
): Promise<Proven> {
  if (password !== undefined) {
    const checked = await checkPassword({ username: principal.user.username, password, ...originOf(req) })
    if (checked?.id !== userId) throw new GatewayError('credentials_invalid', 'The password is wrong')
    return byPassword
  }
  const challenge = sealed === undefined ? undefined : challenges.open(sealed, 'step-up')
  const isOwn = challenge?.userId === userId && challenge.sessionId === sessionId
  if (sealed !== undefined && !(isOwn && (await beginAttempt(database, challenge, userId))))
    throw factorInvalid()
  const { mfaAtMs } = proofOf(principal, Date.now())
  const provenSessionId = mfaAtMs === null ? undefined : sessionId
  return await proveFactor({ ...answeringOf(req, userId), provenSessionId }, answer, challenge)
}

/** Returns the endpoints by which somebody who is signed in proves again that it is them. */
export function stepUpEndpoints(deps: Dependencies): Endpoint[] {
  const { database, challenges, config, publicUrl, stepUp } = deps
  const options = endpoint({
    method: 'post',
    path: '/auth/step-up/options',
    summary: 'Ask for a challenge and the options by which a passkey proves again who I am',
    access: signedIn,
    crossSite: 'always',
    body: z.strictObject({}),
    answers: { 200: z.strictObject({ challenge: z.string(), options: z.looseObject({}).nullable() }) },
    handle: async ({ req }) => {
      const { userId, sessionId } = personOf(req)
      const { challenge, sealed } = challenges.make({ purpose: 'step-up', userId, sessionId })
      const passkeys = await listPasskeys(database, userId)
      const party = relyingPartyOf(config, publicUrl())
      return {
        status: 200,
        body: {
          challenge: sealed,
          options: passkeys.length > 0 ? await requestOptions(party, challenge.webauthn, passkeys) : null,
        },
      }
    },
  })

  const again = endpoint({
    method: 'post',
    path: '/auth/step-up',
    summary:
      'Prove again that it is me, by password, code, recovery code or passkey: new tokens of the same session, by cookie or as /auth/token; older tokens keep what they had',
    access: signedIn,
    crossSite: 'always',
    body: proof,
    answers: { 200: z.union([loginAnswer, tokenAnswer]) },
    handle: async ({ req, res, body }) => {
      const person = personOf(req)
      const { principal, sessionId } = person
      const proven = await prove(deps, req, person, body)
      const issued = await stepUp({ ...principal, sessionId }, proven, originOf(req))
      if (cookieValue(req, 'auth_token') === undefined) return given(issued)
      setLoginCookies(res, config, issued)
      return signedInAs(principal.user, issued.expiresAt)
    },
  })
  return [options, again]
}
