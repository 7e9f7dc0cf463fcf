import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { knownAuthorities, otherAuthority } from '../domain/authorities.js'
import { actorOf } from '../audit/record-change.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { signedIn } from '../http/endpoint/policy.js'
import type { CheckPassword } from './check-password.js'
import { freshSeconds, personOf, requireFreshProof } from './fresh-proof.js'
import { requireProof, unlinkOwnIdentity } from './identities.js'
import { listIdentities } from './identity-queries.js'
import { originOf } from './issue-token.js'
import { redirectTarget } from './redirect-target.js'
import { callbackUrl, knownProvider, listedProvider } from './providers.js'
import type { SignIn } from './sign-in-endpoints.js'

const identity = z
  .strictObject({
    id: z.uuid(),
    authority: z.enum([...knownAuthorities, otherAuthority]),
    providerId: z.uuid().optional().meta({ description: 'the provider of authority oidc' }),
    label: z.string().optional().meta({ description: 'the name of that provider' }),
    email: z.string().nullable().meta({ description: 'as the authority said when it was linked' }),
    linkedAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Identity' })
const newLink = z
  .strictObject({
    authority: z.enum(knownAuthorities, `must be ${knownAuthorities.join(' or ')}`).optional(),
    providerId: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'in place of authority: id or slug of another OpenID provider' }),
    next: z.string().optional().meta({ description: 'where the browser goes when it is linked' }),
    currentPassword: z
      .string()
      .min(1)
      .optional()
      .meta({ description: `needed where the caller signed in more than ${freshSeconds / 60} minutes ago` }),
  })
  .refine(
    ({ authority, providerId }) => (authority === undefined) !== (providerId === undefined),
    fieldError('authority_or_provider'),
  )

interface Dependencies {
  commitAndAwaitNodes: CommitAndAwaitNodes
  checkPassword: CheckPassword
}

const listEndpoint = ({ database }: SignIn): Endpoint =>
  endpoint({
    method: 'get',
    path: '/auth/identities',
    summary: 'List the identities by which the caller can sign in beside a password',
    access: signedIn,
    answers: { 200: z.strictObject({ items: z.array(identity), nextCursor: z.null() }) },
    handle: async ({ req }) => ({
      status: 200,
      body: { items: await listIdentities(database, personOf(req).userId), nextCursor: null },
    }),
  })

const linkEndpoint = (signIn: SignIn, { checkPassword }: Dependencies): Endpoint =>
  endpoint({
    method: 'post',
    path: '/auth/identities',
    summary:
      'Begin to link an identity, with a proof that it is the caller: answers where the browser has to go, and sets a cookie for when it comes back',
    access: signedIn,
    body: newLink,
    answers: { 200: z.strictObject({ authorizationUrl: z.string() }) },
    handle: async ({ req, res, body }) => {
      const { database: sql, providers, publicUrl, config, flows } = signIn
      const person = personOf(req)
      await requireProof({ sql, checkPassword }, person, body.currentPassword, originOf(req))
      const linkTo = { userId: person.userId, sessionId: person.sessionId }
      const provider =
        body.authority === undefined
          ? listedProvider(providers, body.providerId ?? '')
          : knownProvider(providers, body.authority)
      const next = redirectTarget(body.next, { publicUrl: publicUrl(), origins: config.CORS_ORIGINS })
      const { url, flow } = await provider.begin(callbackUrl(publicUrl(), provider))
      await flows.begin(req, res, provider, { ...flow, next, linkTo })
      return { status: 200, body: { authorizationUrl: url } }
    },
  })

const unlinkEndpoint = ({ providers, database }: SignIn, { commitAndAwaitNodes }: Dependencies): Endpoint =>
  endpoint({
    method: 'delete',
    path: '/auth/identities/:id',
    unversioned: true,
    summary: 'Unlink an identity; ends the other sessions of its authority',
    access: signedIn,
    answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
    handle: async (call) => {
      const person = personOf(call.req)
      await requireFreshProof(database, person)
      const { coherence } = await commitAndAwaitNodes((tx) =>
        unlinkOwnIdentity(tx, person, idOf(call), { providers, actor: actorOf(call.req) }),
      )
      return { status: 200, body: { coherence } }
    },
  })

/** Returns the endpoints of the caller's identities at providers, by which they can sign in. */
export const identityEndpoints = (signIn: SignIn, deps: Dependencies): Endpoint[] => [
  listEndpoint(signIn),
  linkEndpoint(signIn, deps),
  unlinkEndpoint(signIn, deps),
]
