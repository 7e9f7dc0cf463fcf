import type { Request } from 'express'
import { z } from 'zod'
import { actorOf } from '../audit/record-change.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { KeyRing, keyStates, keyUses, type Changer, type KeySources } from './keys.js'

const key = z
  .strictObject({
    kid: z.string(),
    algorithm: z.string(),
    use: z.enum(keyUses).meta({
      description:
        'tokens of callers; X-Gateway-Identity; the portal cookie and what the database keeps sealed',
    }),
    state: z.enum(keyStates).meta({ description: 'verifying: signs no more, or not yet' }),
    since: z.iso.datetime().nullable().meta({ description: 'when a node had it first, or it was made' }),
  })
  .meta({ id: 'Key' })

const forced = z.strictObject({
  force: z.literal(['0', '1']).optional().meta({
    description: '1: also the key that signs, after which nobody can sign in until the nodes have another',
  }),
})

const changerOf = (req: Request): Changer => ({
  actor: actorOf(req),
  begin: (tx) => beginAsAdmin(tx, req.state.principal?.user, 'sysAdmin'),
})

const listEndpoint = (ring: KeyRing) =>
  endpoint({
    method: 'get',
    path: '/system/keys',
    summary: 'List the keys that sign, verify and seal',
    access: sysAdmins,
    answers: { 200: z.strictObject({ items: z.array(key), nextCursor: z.null() }) },
    handle: async () => ({ status: 200, body: { items: await ring.list(), nextCursor: null } }),
  })

const rotateEndpoint = (ring: KeyRing) =>
  endpoint({
    method: 'post',
    path: '/system/keys/rotate',
    summary:
      'Make a new key for identities that are sent to upstreams; ' +
      'it signs when they have had time to learn of it',
    access: sysAdmins,
    answers: { 201: key },
    handle: async ({ req }) => ({
      status: 201,
      body: await ring.rotate(changerOf(req)),
      headers: { Location: '/system/keys' },
    }),
  })

const retireEndpoint = (ring: KeyRing) =>
  endpoint({
    method: 'delete',
    path: '/system/keys/:kid',
    unversioned: true,
    summary:
      'Retire a key. When this answers, no node accepts an access token that it signed; ' +
      'an identity key is published no more',
    access: sysAdmins,
    query: forced,
    answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
    handle: async ({ req, params, query }) => ({
      status: 200,
      body: { coherence: await ring.retire(params.kid ?? '', query.force === '1', changerOf(req)) },
    }),
  })

/** The key ring, as SysAdmins see and change it. */
export function keyEndpoints(sources: KeySources): Endpoint[] {
  const ring = new KeyRing(sources)
  return [listEndpoint(ring), rotateEndpoint(ring), retireEndpoint(ring)]
}
