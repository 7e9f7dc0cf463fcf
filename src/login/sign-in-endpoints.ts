import { fieldError, reason } from '../domain/reasons.js'
import { z } from 'zod'
import { signInAuthorities, type SignInAuthority } from '../domain/authorities.js'
import { actorOf, recordChange } from '../audit/record-change.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import type { Config } from '../config.js'
import type { Database } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import type { CookieConfig } from '../http/cookies.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { findIdentityOwner, linkIdentity, lockLiveSession, useIdentity } from './identity-queries.js'
import { originOf, type IssuedTokens, type Login } from './issue-token.js'
import { loginOfCookies, setLoginCookies } from './login-cookies.js'
import { redirectTarget } from './redirect-target.js'
import { flowUnknown } from './sign-in-errors.js'
import type { SignInFlow, SignInFlows } from './sign-in-flow.js'
import type { Identity, SignInProvider } from './sign-in-provider.js'

/** What signing in at another authority needs. */
export interface SignIn {
  database: Database
  config: CookieConfig & Pick<Config, 'CORS_ORIGINS'>
  publicUrl: () => string
  providers: Partial<Record<SignInAuthority, SignInProvider>>
  flows: SignInFlows
  issueTokens: (login: Login) => Promise<IssuedTokens>
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>
}

export const authorityNames: Record<SignInAuthority, string> = { google: 'Google', msft: 'Microsoft' }

/** The provider of an authority. Throws `not_found` where it is not configured. */
export function providerOf(
  { providers }: Pick<SignIn, 'providers'>,
  authority: SignInAuthority,
): SignInProvider {
  const provider = providers[authority]
  if (!provider)
    throw new GatewayError('not_found', `Signing in with ${authorityNames[authority]} is not set up here`)
  return provider
}

/**
 * The one address that the authority sends browsers back to: one for each, so that no answer of one is taken
 * for another's.
 */
export const callbackUrl = ({ publicUrl }: Pick<SignIn, 'publicUrl'>, authority: SignInAuthority) =>
  `${publicUrl()}/auth/${authority}/callback`

const seeOther = (location: string): Answer => ({ status: 303, headers: { Location: location } })

const loginQuery = z.looseObject({ next: z.string().optional() })
/** RFC 6749 §4.1.2, RFC 9207: none of them may come twice. What else comes, the library looks at. */
const callbackQuery = z
  .looseObject({ state: z.string().optional() })
  .refine((query) => !Object.values(query).some(Array.isArray), fieldError('sent_once'))

/** Signs the browser in as whoever has linked the identity. */
async function enter(
  signIn: SignIn,
  { req, res }: Pick<Call<unknown, unknown>, 'req' | 'res'>,
  authority: SignInAuthority,
  identity: Identity,
): Promise<void> {
  const owner = await findIdentityOwner(signIn.database, authority, identity)
  if (!owner) {
    throw new GatewayError(
      'identity_unknown',
      `This ${authorityNames[authority]} account is linked to nobody here. Sign in with your password and link it at /auth/identities; without a password ask an admin for a link to set one.`,
    )
  }
  if (!owner.enabled) throw new GatewayError('user_disabled', 'User is disabled')
  const issued = await signIn.issueTokens({
    user: owner,
    authority,
    replaces: await loginOfCookies(req, signIn.verifyTokenOfAnyAge),
    stillHolds: (tx) => useIdentity(tx, owner),
    ...originOf(req),
  })
  setLoginCookies(res, signIn.config, issued)
}

/** Links the identity to whoever began the flow, if they still are signed in. */
async function link(
  signIn: SignIn,
  { req }: Pick<Call<unknown, unknown>, 'req'>,
  authority: SignInAuthority,
  identity: Identity,
  linkTo: NonNullable<SignInFlow['linkTo']>,
): Promise<void> {
  await signIn.database.transaction(async (tx) => {
    if (!(await lockLiveSession(tx, linkTo))) throw flowUnknown()
    const linked = await linkIdentity(tx, linkTo.userId, authority, identity)
    if (linked.userId !== linkTo.userId)
      throw new GatewayError('conflict', reason('identity_taken', { provider: authorityNames[authority] }))
    if (!linked.isNew) return
    await recordChange(tx, {
      actor: { ...actorOf(req), userId: linkTo.userId },
      mandateId: 'system',
      action: 'identity_linked',
      subject: `user:${linkTo.userId}`,
      after: { identity: linked.id, authority },
    })
  })
}

/** Signing in with Google and Microsoft (OpenID Connect Core 1.0, RFC 7636, RFC 9700). */
export function signInEndpoints(signIn: SignIn): Endpoint[] {
  const login = (authority: SignInAuthority) =>
    endpoint({
      method: 'get',
      path: `/auth/${authority}/login`,
      summary: `Sign in with ${authorityNames[authority]}: sends the browser there; afterwards it goes to next. 404 where it is not set up`,
      access: anyone,
      entry: 'sign-in',
      errors: 'page',
      query: loginQuery,
      answers: { 303: null },
      handle: async ({ req, res, query }) => {
        const provider = providerOf(signIn, authority)
        const next = redirectTarget(query.next, {
          publicUrl: signIn.publicUrl(),
          origins: signIn.config.CORS_ORIGINS,
        })
        const { url, flow } = await provider.begin(callbackUrl(signIn, authority))
        await signIn.flows.begin(req, res, { ...flow, authority, next, linkTo: null })
        return seeOther(url)
      },
    })

  const callback = (authority: SignInAuthority) =>
    endpoint({
      method: 'get',
      path: `/auth/${authority}/callback`,
      summary: `Where ${authorityNames[authority]} sends the browser back to; sets the cookies auth_token and refresh_token, or links the identity`,
      access: anyone,
      entry: 'sign-in',
      errors: 'page',
      query: callbackQuery,
      answers: { 303: null },
      handle: async (call) => {
        const { req, res, query } = call
        const provider = providerOf(signIn, authority)
        const flow =
          query.state === undefined ? undefined : await signIn.flows.find(req, authority, query.state)
        if (!flow) throw flowUnknown()
        const identity = await provider.finish(
          new URL(callbackUrl(signIn, authority) + req.state.search),
          flow,
        )
        if (flow.linkTo) await link(signIn, call, authority, identity, flow.linkTo)
        else await enter(signIn, call, authority, identity)
        await signIn.flows.finish(req, res, flow)
        return seeOther(flow.next)
      },
    })

  return signInAuthorities.flatMap((authority) => [login(authority), callback(authority)])
}
