import type { Request } from 'express'
import { z } from 'zod'
import { actorOf, recordChange } from '../../audit/record-change.js'
import type { CoherentTx, CommitAndAwaitNodes } from '../../coherence/commit-and-await-nodes.js'
import { reason } from '../../domain/reasons.js'
import { GatewayError } from '../../errors.js'
import { coherenceSchema } from '../../http/endpoint/coherence-schema.js'
import { endpoint, idOf, type Endpoint } from '../../http/endpoint/endpoint.js'
import { signedIn } from '../../http/endpoint/policy.js'
import { languageOf } from '../../http/pages/html.js'
import { enrolledOf, personOf, requireFreshProof } from '../fresh-proof.js'
import { addPasskey, beginTotp, confirmTotp } from './enrol.js'
import type { Challenges } from './challenges.js'
import { listFactors, lockFactorOwner } from './factor-queries.js'
import { listPasskeys } from './passkey-queries.js'
import { creationOptions, registrationResponse, relyingPartyOf } from './passkeys.js'
import { factorInvalid, type FactorDependencies } from './prove-factor.js'
import { countRecoveryCodes } from './recovery-code-queries.js'
import { issueRecoveryCodes } from './recovery-codes.js'
import { removeFactor } from './remove-factor.js'

export interface FactorEndpointDependencies extends FactorDependencies {
  challenges: Challenges
  commitAndAwaitNodes: CommitAndAwaitNodes
  /** Returns whether a user can sign in by a provider that is set up. */
  hasProvider: (tx: CoherentTx, userId: string) => Promise<boolean>
}

const factorFields = {
  id: z.uuid(),
  kind: z.enum(['totp', 'passkey']),
  label: z.string(),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().nullable(),
}
const factor = z.strictObject(factorFields).meta({ id: 'Factor' })
const recoveryCodes = z
  .array(z.string())
  .meta({ description: 'each lets its owner in once, in place of a factor; they are shown once' })
const addedFactor = z
  .strictObject({ ...factorFields, recoveryCodes: recoveryCodes.optional() })
  .meta({ id: 'AddedFactor' })
const label = z.string().trim().min(1).max(100)
const code = z.string().min(1).max(32)
const nothing = z.strictObject({})
/** A write of what somebody is let in by. */
const write = { access: signedIn, crossSite: 'always' } as const

/** Returns who changes their factors, with a fresh proof. */
async function provenPerson({ database }: Pick<FactorEndpointDependencies, 'database'>, req: Request) {
  const person = personOf(req)
  const { kinds } = await enrolledOf(database, person)
  await requireFreshProof(database, person)
  return { person, kinds }
}

function listEndpoint({ database }: FactorEndpointDependencies): Endpoint {
  return endpoint({
    method: 'get',
    path: '/auth/factors',
    summary: 'List my second factors, and how many recovery codes are left',
    access: signedIn,
    answers: { 200: z.strictObject({ items: z.array(factor), recoveryCodesLeft: z.int() }) },
    handle: async ({ req }) => {
      const person = personOf(req)
      await enrolledOf(database, person)
      return {
        status: 200,
        body: {
          items: await listFactors(database, person.userId),
          recoveryCodesLeft: await countRecoveryCodes(database, person.userId),
        },
      }
    },
  })
}

function totpEndpoints(deps: FactorEndpointDependencies): Endpoint[] {
  return [
    endpoint({
      ...write,
      method: 'post',
      path: '/auth/factors/totp',
      summary: 'Begin to add an authenticator app; it counts once a code of it confirms it',
      body: z.strictObject({ label }),
      answers: { 201: z.strictObject({ id: z.uuid(), secret: z.string(), uri: z.string() }) },
      handle: async ({ req, body }) => {
        const { person } = await provenPerson(deps, req)
        return { status: 201, body: await beginTotp(deps, person, body.label) }
      },
    }),
    endpoint({
      ...write,
      method: 'post',
      path: '/auth/factors/totp/:id/confirm',
      summary: 'Add an authenticator app by a code of it; recovery codes come with the first factor',
      body: z.strictObject({ code }),
      answers: { 200: addedFactor },
      handle: async (call) => {
        const { req, body } = call
        const { person } = await provenPerson(deps, req)
        const adding = { person, actor: actorOf(req), language: languageOf(req) }
        return { status: 200, body: await confirmTotp(deps, adding, { id: idOf(call), code: body.code }) }
      },
    }),
  ]
}

function passkeyEndpoints(deps: FactorEndpointDependencies): Endpoint[] {
  const { database, challenges, config, publicUrl } = deps
  return [
    endpoint({
      ...write,
      method: 'post',
      path: '/auth/factors/passkeys/options',
      summary: 'Ask for a challenge and the options by which a browser makes a passkey',
      body: nothing,
      answers: { 200: z.strictObject({ challenge: z.string(), options: z.looseObject({}) }) },
      handle: async ({ req }) => {
        const { person } = await provenPerson(deps, req)
        const { userId, sessionId, principal } = person
        const { challenge, sealed } = challenges.make({ purpose: 'enrol', userId, sessionId })
        const party = relyingPartyOf(config, publicUrl())
        const known = await listPasskeys(database, userId)
        const options = await creationOptions(party, principal.user, challenge.webauthn, known)
        return { status: 200, body: { challenge: sealed, options } }
      },
    }),
    endpoint({
      ...write,
      method: 'post',
      path: '/auth/factors/passkeys',
      summary: 'Add a passkey that was made for the challenge; recovery codes come with the first factor',
      body: z.strictObject({ label, challenge: z.string(), response: registrationResponse }),
      answers: { 201: addedFactor },
      handle: async ({ req, body }) => {
        const { person } = await provenPerson(deps, req)
        const challenge = challenges.open(body.challenge, 'enrol')
        if (challenge?.userId !== person.userId || challenge.sessionId !== person.sessionId)
          throw factorInvalid()
        const adding = { person, actor: actorOf(req), language: languageOf(req) }
        return { status: 201, body: await addPasskey(deps, adding, { ...body, challenge }) }
      },
    }),
  ]
}

function recoveryEndpoint(deps: FactorEndpointDependencies): Endpoint {
  return endpoint({
    ...write,
    method: 'post',
    path: '/auth/factors/recovery-codes',
    summary: 'Make ten recovery codes; those of before let nobody in any more',
    answers: { 200: z.strictObject({ recoveryCodes }) },
    handle: async ({ req }) => {
      const { person, kinds } = await provenPerson(deps, req)
      if (kinds.length === 0) throw new GatewayError('conflict', reason('no_factor_yet'))
      const codes = await deps.database.transaction(async (tx) => {
        await lockFactorOwner(tx, person.userId)
        await recordChange(tx, {
          actor: actorOf(req),
          mandateId: 'system',
          action: 'recovery_codes_made',
          subject: `user:${person.userId}`,
        })
        return await issueRecoveryCodes(tx, person.userId)
      })
      return { status: 200, body: { recoveryCodes: codes } }
    },
  })
}

function removeEndpoint(deps: FactorEndpointDependencies): Endpoint {
  return endpoint({
    ...write,
    method: 'delete',
    path: '/auth/factors/:id',
    unversioned: true,
    summary:
      'Remove a second factor; ends my other sessions, and when this answers no node accepts their tokens any more',
    answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
    handle: async (call) => {
      const { person } = await provenPerson(deps, call.req)
      const { coherence } = await deps.commitAndAwaitNodes((tx) =>
        removeFactor(deps.outbox, tx, idOf(call), {
          person,
          actor: actorOf(call.req),
          language: languageOf(call.req),
          hasProvider: deps.hasProvider,
        }),
      )
      return { status: 200, body: { coherence } }
    },
  })
}

/** Returns the endpoints of the caller's own second factors. Their writes need a fresh proof. */
export const factorEndpoints = (deps: FactorEndpointDependencies): Endpoint[] => [
  listEndpoint(deps),
  ...totpEndpoints(deps),
  ...passkeyEndpoints(deps),
  recoveryEndpoint(deps),
  removeEndpoint(deps),
]
