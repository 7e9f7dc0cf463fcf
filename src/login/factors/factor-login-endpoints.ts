import type { Request } from 'express'
import { z } from 'zod'
import type { VerifiedClaims } from '../../authentication/verify-token.js'
import { fieldError } from '../../domain/reasons.js'
import { GatewayError } from '../../errors.js'
import type { CookieConfig } from '../../http/cookies.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../../http/endpoint/endpoint.js'
import { anyone } from '../../http/endpoint/policy.js'
import { languageOf } from '../../http/pages/html.js'
import { originOf, type IssuedTokens, type Login } from '../issue-token.js'
import { loginAnswer, signedInAs } from '../login-answer.js'
import { loginOfCookies, setLoginCookies } from '../login-cookies.js'
import { both, byPassword } from '../proven.js'
import { findLoginUserById, type LoginUser } from '../session-queries.js'
import { beginAttempt, type Challenges } from './challenges.js'
import { isFactorThere } from './factor-queries.js'
import { findPasskey } from './passkey-queries.js'
import { assertionResponse, relyingPartyOf, requestOptions, userHandleOf } from './passkeys.js'
import {
  factorInvalid,
  type Answering,
  type FactorDependencies,
  type ProveFactor,
  type ProvenFactor,
} from './prove-factor.js'
import { passwordMarkOf } from './second-factor.js'

export interface FactorLoginDependencies extends FactorDependencies {
  config: FactorDependencies['config'] & CookieConfig
  challenges: Challenges
  proveFactor: ProveFactor
  issueTokens: (login: Login) => Promise<IssuedTokens>
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>
}

const typed = z.string().min(1).max(64)
/** One answer by which somebody proves a factor. */
export const factorAnswer = { code: typed, recoveryCode: typed, response: assertionResponse }

const answeredChallenge = z
  .strictObject({ challenge: z.string(), ...z.object(factorAnswer).partial().shape })
  .refine(
    ({ code, recoveryCode, response }) => [code, recoveryCode, response].filter(Boolean).length === 1,
    fieldError('one_factor'),
  )
const discovered = z.strictObject({ challenge: z.string(), response: assertionResponse })

const byFactor = { method: 'post', access: anyone, entry: 'sign-in', crossSite: 'always' } as const

/** Returns who answers a challenge, and from where. */
export const answeringOf = (req: Request, userId: string): Answering => ({
  ...originOf(req),
  userId,
  language: languageOf(req),
})

/** Signs a browser in by a factor that was proved, as long as it is not removed meanwhile. */
async function signIn(
  { config, issueTokens, verifyTokenOfAnyAge }: FactorLoginDependencies,
  { req, res }: Pick<Call<unknown, unknown>, 'req' | 'res'>,
  user: LoginUser,
  proven: ProvenFactor,
): Promise<Answer> {
  const issued = await issueTokens({
    user,
    authority: 'local',
    proven,
    passwordHash: user.passwordHash,
    replaces: await loginOfCookies(req, verifyTokenOfAnyAge),
    stillHolds: (tx) => isFactorThere(tx, user.id, proven.factorId),
    ...originOf(req),
  })
  setLoginCookies(res, config, issued)
  return signedInAs(user, issued.expiresAt)
}

function secondFactorEndpoint(deps: FactorLoginDependencies): Endpoint {
  const { database, challenges, proveFactor } = deps
  return endpoint({
    ...byFactor,
    path: '/auth/login/factor',
    summary:
      'Finish a login whose password was right, by a code, a recovery code or a passkey; five wrong answers end the challenge',
    body: answeredChallenge,
    answers: { 200: loginAnswer },
    handle: async (call) => {
      const { challenge: sealed, ...answer } = call.body
      const challenge = challenges.open(sealed, 'login')
      const user = challenge?.userId ? await findLoginUserById(database, challenge.userId) : undefined
      if (!challenge || !user?.enabled || passwordMarkOf(user.passwordHash) !== challenge.passwordMark)
        throw factorInvalid()
      if (!(await beginAttempt(database, challenge, user.id))) throw factorInvalid()
      const factor = await proveFactor(answeringOf(call.req, user.id), answer, challenge)
      return await signIn(deps, call, user, { ...both(byPassword, factor), factorId: factor.factorId })
    },
  })
}

function passkeyEndpoints(deps: FactorLoginDependencies): Endpoint[] {
  const { database, challenges, proveFactor, config, publicUrl } = deps
  return [
    endpoint({
      ...byFactor,
      path: '/auth/passkey/options',
      summary: 'Ask for a challenge and the options by which a browser signs in with any of its passkeys',
      body: z.strictObject({}),
      answers: { 200: z.strictObject({ challenge: z.string(), options: z.looseObject({}) }) },
      handle: async () => {
        const { challenge, sealed } = challenges.make({ purpose: 'sign-in', userId: null })
        const options = await requestOptions(relyingPartyOf(config, publicUrl()), challenge.webauthn, [])
        return { status: 200, body: { challenge: sealed, options } }
      },
    }),
    endpoint({
      ...byFactor,
      path: '/auth/passkey',
      summary: 'Sign in with a passkey, which says who it is; sets the cookies auth_token and refresh_token',
      body: discovered,
      answers: { 200: loginAnswer },
      handle: async (call) => {
        const { response } = call.body
        const challenge = challenges.open(call.body.challenge, 'sign-in')
        const passkey = await findPasskey(database, response.id)
        const user = passkey && (await findLoginUserById(database, passkey.userId))
        if (!challenge || !user || response.response.userHandle !== userHandleOf(user.id))
          throw factorInvalid()
        const factor = await proveFactor(answeringOf(call.req, user.id), { response }, challenge)
        if (!user.enabled) throw new GatewayError('user_disabled', 'User is disabled')
        return await signIn(deps, call, user, factor)
      },
    }),
  ]
}

/** Returns the endpoints that sign somebody in by a factor: as the second, or by a passkey alone. */
export const factorLoginEndpoints = (deps: FactorLoginDependencies): Endpoint[] => [
  secondFactorEndpoint(deps),
  ...passkeyEndpoints(deps),
]
