import { fieldError, reason } from '../domain/reasons.js'
import type { Request } from 'express'
import { z } from 'zod'
import { knownAuthorities, otherAuthority } from '../domain/authorities.js'
import { actorOf, recordChange } from '../audit/record-change.js'
import type { CommitAndAwaitNodes, CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { signedIn } from '../http/endpoint/policy.js'
import { endSessions } from '../authentication/end-queries.js'
import type { CheckPassword } from './check-password.js'
import {
  isSessionYoung,
  listIdentities,
  lockWaysIn,
  unlinkIdentity,
  type LinkedIdentity,
} from './identity-queries.js'
import { originOf } from './issue-token.js'
import { redirectTarget } from './redirect-target.js'
import { callbackUrl, knownProvider, listedProvider } from './providers.js'
import type { SignIn } from './sign-in-endpoints.js'

/** So long after signing in a person need not prove again who they are. */
const proofSeconds = 600
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
      .meta({ description: `needed where the caller signed in more than ${proofSeconds / 60} minutes ago` }),
  })
  .refine(
    ({ authority, providerId }) => (authority === undefined) !== (providerId === undefined),
    fieldError('authority_or_provider'),
  )

/**
 * The caller and their session: what has none, such as an API token, stands for a program, which has no
 * identities.
 */
function signedInPerson({ state }: Request): { userId: string; sessionId: string } {
  const { user, sessionId } = state.requirePrincipal()
  if (!sessionId) throw new GatewayError('permission_denied', 'Only somebody who has signed in can do this')
  return { userId: user.id, sessionId }
}

interface Dependencies {
  commitAndAwaitNodes: CommitAndAwaitNodes
  checkPassword: CheckPassword
}

/** The caller's identities at other authorities, by which they can sign in. */
export function identityEndpoints(
  signIn: SignIn,
  { commitAndAwaitNodes, checkPassword }: Dependencies,
): Endpoint[] {
  /** A session alone is no proof: whoever has taken one over would come back by what they link. */
  const refuseUnproved = async (req: Request, sessionId: string, password: string | undefined) => {
    if (password !== undefined) {
      if (
        !(await checkPassword({
          username: req.state.requirePrincipal().user.username,
          password,
          ...originOf(req),
        }))
      )
        throw new GatewayError('credentials_invalid', 'The current password is wrong')
    } else if (!(await isSessionYoung(signIn.database, sessionId, proofSeconds))) {
      throw new GatewayError(
        'credentials_invalid',
        `Linking an identity needs proof that it is you: send currentPassword, or sign in again and link it within ${proofSeconds / 60} minutes.`,
      )
    }
  }

  const isSetUp = ({ authority, providerId }: LinkedIdentity) =>
    signIn.providers.some((one) => one.authority === authority && one.id === (providerId ?? null))

  /** With a password, or another identity of an authority that is set up, they can come back. */
  const unlink = async (tx: CoherentTx, id: string, req: Request) => {
    const { userId, sessionId } = signedInPerson(req)
    const { hasPassword } = await lockWaysIn(tx, userId)
    const identities = await listIdentities(tx, userId)
    const found = identities.find((one) => one.id === id)
    if (!found) throw new GatewayError('not_found', 'There is no identity of yours with this id')
    if (!hasPassword && !identities.some((one) => one.id !== id && isSetUp(one))) {
      throw new GatewayError('conflict', reason('last_way_in'))
    }
    const sessions = await unlinkIdentity(tx, userId, found, { except: sessionId })
    await endSessions(tx, sessions)
    await recordChange(tx, {
      actor: actorOf(req),
      mandateId: 'system',
      action: 'identity_unlinked',
      subject: `user:${userId}`,
      before: {
        identity: id,
        authority: found.authority,
        ...(found.providerId === undefined ? {} : { providerId: found.providerId }),
      },
    })
  }

  return [
    endpoint({
      method: 'get',
      path: '/auth/identities',
      summary: 'List the identities by which the caller can sign in beside a password',
      access: signedIn,
      answers: { 200: z.strictObject({ items: z.array(identity), nextCursor: z.null() }) },
      handle: async ({ req }) => ({
        status: 200,
        body: { items: await listIdentities(signIn.database, signedInPerson(req).userId), nextCursor: null },
      }),
    }),
    endpoint({
      method: 'post',
      path: '/auth/identities',
      summary:
        'Begin to link an identity, with a proof that it is the caller: answers where the browser has to go, and sets a cookie for when it comes back',
      access: signedIn,
      body: newLink,
      answers: { 200: z.strictObject({ authorizationUrl: z.string() }) },
      handle: async ({ req, res, body }) => {
        const linkTo = signedInPerson(req)
        await refuseUnproved(req, linkTo.sessionId, body.currentPassword)
        const { providers, publicUrl, config, flows } = signIn
        const provider =
          body.authority === undefined
            ? listedProvider(providers, body.providerId ?? '')
            : knownProvider(providers, body.authority)
        const next = redirectTarget(body.next, { publicUrl: publicUrl(), origins: config.CORS_ORIGINS })
        const { url, flow } = await provider.begin(callbackUrl(publicUrl(), provider))
        await flows.begin(req, res, provider, { ...flow, next, linkTo })
        return { status: 200, body: { authorizationUrl: url } }
      },
    }),
    endpoint({
      method: 'delete',
      path: '/auth/identities/:id',
      unversioned: true,
      summary: 'Unlink an identity; ends the other sessions of its authority',
      access: signedIn,
      answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
      handle: async (call) => {
        const { coherence } = await commitAndAwaitNodes((tx) => unlink(tx, idOf(call), call.req))
        return { status: 200, body: { coherence } }
      },
    }),
  ]
}
