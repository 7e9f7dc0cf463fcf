import { z } from 'zod'
import { actorOf } from '../audit/record-change.js'
import { listLiveSessionIds } from '../authentication/end-queries.js'
import type { VerifiedClaims } from '../authentication/verify-token.js'
import type { Config } from '../config.js'
import type { Database, Tx } from '../database/connect.js'
import { knownAuthorities, knownProviders } from '../domain/authorities.js'
import { fieldError } from '../domain/reasons.js'
import type { CookieConfig } from '../http/cookies.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { languageOf } from '../http/pages/html.js'
import { originOf, type IssuedTokens, type Login } from './issue-token.js'
import { loginOfCookies, setLoginCookies } from './login-cookies.js'
import { callbackUrl, knownProvider, listedProvider } from './providers.js'
import { redirectTarget } from './redirect-target.js'
import { flowUnknown } from './sign-in-errors.js'
import type { SignInFlows } from './sign-in-flow.js'
import { continuePage } from './sign-in-pages.js'
import type { SignInProvider } from './sign-in-provider.js'
import { linkToUser, signInByIdentity } from './sign-in.js'

/** What the endpoints of sign-in providers need. */
export interface SignIn {
  database: Database
  config: CookieConfig & Pick<Config, 'CORS_ORIGINS'>
  publicUrl: () => string
  providers: readonly SignInProvider[]
  flows: SignInFlows
  issueTokens: (login: Login) => Promise<IssuedTokens>
  saveProviders: (tx: Tx) => Promise<void>
  verifyTokenOfAnyAge: (token: string) => Promise<VerifiedClaims>
}

const seeOther = (location: string): Answer => ({ status: 303, headers: { Location: location } })

const loginQuery = z.looseObject({ next: z.string().optional() })
const listedLoginQuery = z.looseObject({
  next: z.string().optional(),
  loginHint: z.string().min(1).max(320).optional(),
})
/** RFC 6749 §4.1.2, RFC 9207: no parameter may come twice. The library checks what else comes. */
const callbackQuery = z
  .looseObject({ state: z.string().optional() })
  .refine((query) => !Object.values(query).some(Array.isArray), fieldError('sent_once'))

type LoginCall = Pick<Call<unknown, z.infer<typeof listedLoginQuery>>, 'req' | 'res' | 'query'>
type CallbackCall = Pick<Call<unknown, z.infer<typeof callbackQuery>>, 'req' | 'res' | 'query'>

/** Sends the browser to the provider. */
async function begin(
  { publicUrl, config, flows }: SignIn,
  provider: SignInProvider,
  { req, res, query }: LoginCall,
): Promise<Answer> {
  const next = redirectTarget(query.next, { publicUrl: publicUrl(), origins: config.CORS_ORIGINS })
  const { url, flow } = await provider.begin(callbackUrl(publicUrl(), provider), query.loginHint)
  await flows.begin(req, res, provider, { ...flow, next, linkTo: null })
  return seeOther(url)
}

/** Finishes what the browser began: signs it in, or links the identity to the user who began to link it. */
async function finish(
  signIn: SignIn,
  provider: SignInProvider,
  { req, res, query }: CallbackCall,
): Promise<Answer> {
  const { flows, publicUrl, config } = signIn
  const flow = query.state === undefined ? undefined : await flows.find(req, provider, query.state)
  if (!flow) throw flowUnknown()
  const callback = new URL(callbackUrl(publicUrl(), provider) + req.state.search)
  const vouched = { provider, identity: await provider.finish(callback, flow) }
  if (flow.linkTo) {
    await linkToUser(signIn, vouched, { actor: actorOf(req), linkTo: flow.linkTo })
  } else {
    const replaces = await loginOfCookies(req, signIn.verifyTokenOfAnyAge)
    setLoginCookies(res, config, await signInByIdentity(signIn, vouched, { origin: originOf(req), replaces }))
  }
  await flows.finish(req, res, provider, flow.state)
  return seeOther(flow.next)
}

/**
 * Returns whether another site sent a browser that is signed in here. It could sign the person in as somebody
 * else unnoticed.
 */
async function isSentWhileSignedIn(signIn: SignIn, { req }: LoginCall): Promise<boolean> {
  if (!['cross-site', 'same-site'].includes(String(req.headers['sec-fetch-site']))) return false
  const presented = await loginOfCookies(req, signIn.verifyTokenOfAnyAge)
  return (await listLiveSessionIds(signIn.database, presented)).length > 0
}

const isPublic = { method: 'get', access: anyone, entry: 'sign-in', errors: 'page' } as const

/** The endpoints of the providers with variables of their own: two for each row of the table. */
const knownProviderEndpoints = (signIn: SignIn): Endpoint[] =>
  knownAuthorities.flatMap((authority) => {
    const { label } = knownProviders[authority]
    return [
      endpoint({
        ...isPublic,
        path: `/auth/${authority}/login`,
        summary: `Sign in with ${label}: sends the browser there; afterwards it goes to next. 404 where it is not set up`,
        query: loginQuery,
        answers: { 303: null },
        handle: ({ req, res, query: { next } }) =>
          begin(signIn, knownProvider(signIn.providers, authority), { req, res, query: { next } }),
      }),
      endpoint({
        ...isPublic,
        path: `/auth/${authority}/callback`,
        summary: `Where ${label} sends the browser back to; sets the cookies auth_token and refresh_token, or links the identity`,
        query: callbackQuery,
        answers: { 303: null },
        handle: (call) => finish(signIn, knownProvider(signIn.providers, authority), call),
      }),
    ]
  })

/** The endpoints of the providers that `OIDC_PROVIDERS` names. */
const listedProviderEndpoints = (signIn: SignIn): Endpoint[] => [
  endpoint({
    ...isPublic,
    path: '/auth/providers/:provider/login',
    summary:
      'Sign in with an OpenID provider, by its slug or id: sends the browser there; afterwards it goes to next. A page with a button where another site sent a browser that is signed in',
    query: listedLoginQuery,
    answers: { 200: 'text/html', 303: null },
    handle: async (call) => {
      const provider = listedProvider(signIn.providers, call.params.provider ?? '')
      if (!(await isSentWhileSignedIn(signIn, call))) return await begin(signIn, provider, call)
      return continuePage(languageOf(call.req), provider, call.query)
    },
  }),
  endpoint({
    ...isPublic,
    path: '/auth/providers/:provider/callback',
    summary:
      'Where an OpenID provider sends the browser back to; sets the cookies auth_token and refresh_token, or links the identity',
    query: callbackQuery,
    answers: { 303: null },
    handle: (call) => finish(signIn, listedProvider(signIn.providers, call.params.provider ?? ''), call),
  }),
]

/** Returns the endpoints of sign-in providers (OpenID Connect Core 1.0, RFC 7636, RFC 9700). */
export const signInEndpoints = (signIn: SignIn): Endpoint[] => [
  ...knownProviderEndpoints(signIn),
  ...listedProviderEndpoints(signIn),
]
