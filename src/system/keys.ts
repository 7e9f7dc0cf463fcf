import { createHash } from 'node:crypto'
import { recordChange, type Actor } from '../audit/record-change.js'
import type { TokenKeys } from '../authentication/token-keys.js'
import type { Coherence, CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Config } from '../config.js'
import type { Sql, Tx } from '../database/connect.js'
import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { deleteIdentityKey } from '../proxy/identity-key-queries.js'
import type { IdentityKeys } from '../proxy/identity-keys.js'
import { listTokenKeys, retireTokenKey, type KnownTokenKey } from './key-queries.js'

/** What the gateway needs to list and change its keys. */
export interface KeySources {
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
  keys: TokenKeys
  identityKeys: Pick<IdentityKeys, 'list' | 'rotate' | 'refresh'>
  config: Pick<Config, 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS'>
}

export const keyUses = ['access_token', 'identity', 'seal'] as const
export const keyStates = ['signing', 'verifying', 'retired'] as const

/** A key as SysAdmins see it: its name and what it does, never the key itself. */
export interface Key {
  kid: string
  algorithm: string
  use: (typeof keyUses)[number]
  state: (typeof keyStates)[number]
  /** When a node had it first, or it was made (ISO 8601). */
  since: string | null
}

/** The user or command that changes keys. */
export interface Changer {
  actor: Actor
  /** Begins the transaction, and refuses a caller who may no longer change keys. */
  begin: (tx: Tx) => Promise<void>
}

/** Names a secret, so that two can be told apart. It reveals nothing else about the secret. */
const sealKid = (secret: string) =>
  createHash('sha256').update('mandate-gateway seal kid ').update(secret).digest('base64url').slice(0, 12)

/** Returns a key of access tokens. Of one that is configured, its row may not be known yet. */
const accessTokenKey = (
  kid: string,
  algorithm: string,
  state: Key['state'],
  row: KnownTokenKey | undefined,
): Key => ({ kid, algorithm, use: 'access_token', state, since: row?.firstSeenAt.toISOString() ?? null })

/** The keys that the gateway signs and seals with, and what can be done with them. */
export class KeyRing {
  constructor(private readonly sources: KeySources) {}

  /** Lists all keys: those of access tokens, of identities, and those that seal. */
  async list(): Promise<Key[]> {
    return [...(await this.accessTokenKeys()), ...this.identities(), ...this.seals()]
  }

  /** Makes a new key for identities. Throws `directory_unavailable` while it cannot be read back. */
  async rotate({ actor, begin }: Changer): Promise<Key> {
    const { kid } = await this.sources.identityKeys.rotate(begin, (tx, made) =>
      recordChange(tx, { actor, mandateId: 'system', action: 'identity_key_made', subject: `key:${made}` }),
    )
    const made = this.identities().find((one) => one.kid === kid)
    if (!made)
      throw new GatewayError(
        'directory_unavailable',
        'The new key cannot be read yet. Look at the list shortly.',
      )
    return made
  }

  /** Retires a key on all nodes. Throws `conflict` for a key that seals, or that signs unless it is forced. */
  async retire(kid: string, isForced: boolean, by: Changer): Promise<Coherence> {
    if (this.seals().some((one) => one.kid === kid))
      throw new GatewayError('conflict', reason('key_from_secret'))
    const known = await this.findAccessTokenKey(kid)
    if (!known) return await this.removeIdentityKey(kid, by)
    if (kid === this.sources.keys.signing.kid && !isForced)
      throw new GatewayError('conflict', reason('key_signs'))
    return await this.retireAccessTokenKey(kid, known.algorithm, by)
  }

  private async accessTokenKeys(): Promise<Key[]> {
    const { sql, keys } = this.sources
    const known = await listTokenKeys(sql)
    const configured = keys.verifying.map(({ kid }) => {
      const row = known.find((one) => one.kid === kid)
      const state = row?.retiredAt ? 'retired' : kid === keys.signing.kid ? 'signing' : 'verifying'
      return accessTokenKey(kid, keys.algorithm, state, row)
    })
    const retired = known.filter(
      ({ kid, retiredAt }) => retiredAt && !configured.some((one) => one.kid === kid),
    )
    return [...configured, ...retired.map((row) => accessTokenKey(row.kid, row.algorithm, 'retired', row))]
  }

  private identities(): Key[] {
    return this.sources.identityKeys.list().map(({ kid, createdAt, signing }) => ({
      kid,
      algorithm: 'EdDSA',
      use: 'identity',
      state: signing ? 'signing' : 'verifying',
      since: createdAt.toISOString(),
    }))
  }

  private seals(): Key[] {
    const { SECRET_KEY, SECRET_KEY_PREVIOUS } = this.sources.config
    return [SECRET_KEY, SECRET_KEY_PREVIOUS]
      .filter((secret) => secret !== undefined)
      .map((secret, index) => ({
        kid: sealKid(secret),
        algorithm: 'HS256',
        use: 'seal',
        state: index === 0 ? 'signing' : 'verifying',
        since: null,
      }))
  }

  /** Finds a key that this node or another one has had. */
  private async findAccessTokenKey(kid: string): Promise<{ algorithm: string } | undefined> {
    return (
      (await this.accessTokenKeys()).find((one) => one.kid === kid) ??
      (await listTokenKeys(this.sources.sql)).find((one) => one.kid === kid)
    )
  }

  private async retireAccessTokenKey(kid: string, algorithm: string, { actor, begin }: Changer) {
    const { coherence } = await this.sources.commitAndAwaitNodes(async (tx) => {
      await begin(tx)
      await retireTokenKey(tx, { kid, algorithm })
      await recordChange(tx, { actor, mandateId: 'system', action: 'key_retired', subject: `key:${kid}` })
    })
    return coherence
  }

  private async removeIdentityKey(kid: string, { actor, begin }: Changer) {
    const { coherence } = await this.sources.commitAndAwaitNodes(async (tx) => {
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
    // It makes a new key where none is left. The other nodes look within a minute.
    await this.sources.identityKeys.refresh()
    return coherence
  }
}
