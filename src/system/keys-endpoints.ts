import { reason } from '../domain/reasons.js'
import { createHash } from 'node:crypto'
import type { Request } from 'express'
import { z } from 'zod'
import { actorOf, recordChange, type Actor } from '../audit/record-change.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { Coherence, CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Config } from '../config.js'
import type { Sql, Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { deleteIdentityKey } from '../proxy/identity-key-queries.js'
import type { IdentityKeys } from '../proxy/identity-keys.js'
import { listTokenKeys, retireTokenKey } from './key-queries.js'

interface Dependencies {
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
  keys: TokenKeys
  identityKeys: Pick<IdentityKeys, 'list' | 'rotate' | 'refresh'>
  config: Pick<Config, 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS'>
}

const key = z
  .strictObject({
    kid: z.string(),
    algorithm: z.string(),
    use: z.enum(['access_token', 'identity', 'seal']).meta({
      description:
        'tokens of callers; X-Gateway-Identity; the portal cookie and what the database keeps sealed',
    }),
    state: z
      .enum(['signing', 'verifying', 'retired'])
      .meta({ description: 'verifying: signs no more, or not yet' }),
    since: z.iso.datetime().nullable().meta({ description: 'when a node had it first, or it was made' }),
  })
  .meta({ id: 'Key' })
type Key = z.infer<typeof key>

const forced = z.strictObject({
  force: z.literal(['0', '1']).optional().meta({
    description: '1: also the key that signs, after which nobody can sign in until the nodes have another',
  }),
})

/** Tells secrets apart, and nothing else of them. */
const sealKid = (secret: string) =>
  createHash('sha256').update('mandate-gateway seal kid ').update(secret).digest('base64url').slice(0, 12)

/** Who changes keys. */
interface Changer {
  actor: Actor
  /** Begins the transaction: whoever may not change keys any more is refused. */
  begin: (tx: Tx) => Promise<void>
}

/** The keys that the gateway signs and seals with, and what can be done with them. */
export interface KeyRing {
  list: () => Promise<Key[]>
  /** Makes a new key for identities. */
  rotate: (by: Changer) => Promise<Key>
  /** Retires a key on all nodes; the one that signs only where it is forced. */
  retire: (kid: string, isForced: boolean, by: Changer) => Promise<Coherence>
}

/** Makes it: of what keys are called and what they do, never of what they are. */
export function keyRing({ sql, commitAndAwaitNodes, keys, identityKeys, config }: Dependencies): KeyRing {
  const accessTokenKeys = async (): Promise<Key[]> => {
    const known = await listTokenKeys(sql)
    const configured: Key[] = keys.verifying.map(({ kid }) => {
      const row = known.find((one) => one.kid === kid)
      const state = row?.retiredAt ? 'retired' : kid === keys.signing.kid ? 'signing' : 'verifying'
      return {
        kid,
        algorithm: keys.algorithm,
        use: 'access_token',
        state,
        since: row?.firstSeenAt.toISOString() ?? null,
      }
    })
    const retired = known.filter(
      ({ kid, retiredAt }) => retiredAt && !configured.some((one) => one.kid === kid),
    )
    return [
      ...configured,
      ...retired.map(({ kid, algorithm, firstSeenAt }): Key => ({
        kid,
        algorithm,
        use: 'access_token',
        state: 'retired',
        since: firstSeenAt.toISOString(),
      })),
    ]
  }
  const identities = (): Key[] =>
    identityKeys.list().map(({ kid, createdAt, signing }) => ({
      kid,
      algorithm: 'EdDSA',
      use: 'identity',
      state: signing ? 'signing' : 'verifying',
      since: createdAt.toISOString(),
    }))
  const seals = (): Key[] =>
    [config.SECRET_KEY, config.SECRET_KEY_PREVIOUS]
      .filter((secret) => secret !== undefined)
      .map((secret, index) => ({
        kid: sealKid(secret),
        algorithm: 'HS256',
        use: 'seal',
        state: index === 0 ? 'signing' : 'verifying',
        since: null,
      }))

  const retire = async (kid: string, isForced: boolean, { actor, begin }: Changer) => {
    const found =
      (await accessTokenKeys()).find((one) => one.kid === kid) ??
      (await listTokenKeys(sql)).find((one) => one.kid === kid)
    if (!found) return undefined
    if (kid === keys.signing.kid && !isForced) {
      throw new GatewayError('conflict', reason('key_signs'))
    }
    return await commitAndAwaitNodes(async (tx) => {
      await begin(tx)
      await retireTokenKey(tx, { kid, algorithm: found.algorithm })
      await recordChange(tx, { actor, mandateId: 'system', action: 'key_retired', subject: `key:${kid}` })
    })
  }
  const removeIdentityKey = async (kid: string, { actor, begin }: Changer) => {
    const removed = await commitAndAwaitNodes(async (tx) => {
      await begin(tx)
      if (!(await deleteIdentityKey(tx, kid)))
        throw new GatewayError('not_found', 'There is no key with this id that could be retired')
      await recordChange(tx, {
        actor,
        mandateId: 'system',
        action: 'identity_key_removed',
        subject: `key:${kid}`,
      })
    })
    // which makes a new one where none is left; the other nodes look within a minute
    await identityKeys.refresh()
    return removed
  }

  return {
    list: async () => [...(await accessTokenKeys()), ...identities(), ...seals()],
    rotate: async ({ actor, begin }) => {
      const { kid } = await identityKeys.rotate(begin, (tx, made) =>
        recordChange(tx, { actor, mandateId: 'system', action: 'identity_key_made', subject: `key:${made}` }),
      )
      const made = identities().find((one) => one.kid === kid)
      if (!made)
        throw new GatewayError(
          'directory_unavailable',
          'The new key cannot be read yet. Look at the list shortly.',
        )
      return made
    },
    retire: async (kid, isForced, by) => {
      if (seals().some((one) => one.kid === kid))
        throw new GatewayError('conflict', reason('key_from_secret'))
      return ((await retire(kid, isForced, by)) ?? (await removeIdentityKey(kid, by))).coherence
    },
  }
}

const byOf = (req: Request): Changer => ({
  actor: actorOf(req),
  begin: (tx) => beginAsAdmin(tx, req.state.principal?.user, 'sysAdmin'),
})

/** The key ring, as SysAdmins see and change it. */
export function keyEndpoints(dependencies: Dependencies): Endpoint[] {
  const ring = keyRing(dependencies)
  return [
    endpoint({
      method: 'get',
      path: '/system/keys',
      summary: 'List the keys that sign, verify and seal',
      access: sysAdmins,
      answers: { 200: z.strictObject({ items: z.array(key), nextCursor: z.null() }) },
      handle: async () => ({ status: 200, body: { items: await ring.list(), nextCursor: null } }),
    }),
    endpoint({
      method: 'post',
      path: '/system/keys/rotate',
      summary:
        'Make a new key for identities that are sent to upstreams; it signs when they have had time to learn of it',
      access: sysAdmins,
      answers: { 201: key },
      handle: async ({ req }) => ({
        status: 201,
        body: await ring.rotate(byOf(req)),
        headers: { Location: '/system/keys' },
      }),
    }),
    endpoint({
      method: 'delete',
      path: '/system/keys/:kid',
      unversioned: true,
      summary:
        'Retire a key. When this answers, no node accepts an access token that it signed; an identity key is published no more',
      access: sysAdmins,
      query: forced,
      answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
      handle: async ({ req, params, query }) => ({
        status: 200,
        body: { coherence: await ring.retire(params.kid ?? '', query.force === '1', byOf(req)) },
      }),
    }),
  ]
}
