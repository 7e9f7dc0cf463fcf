import { hkdfSync } from 'node:crypto'
import {
  CompactEncrypt,
  calculateJwkThumbprint,
  compactDecrypt,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
} from 'jose'
import { z } from 'zod'
import { daySeconds, hourSeconds } from '../domain/time.js'
import type { Database, Sql, Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import type { Logger } from '../observability/logger.js'
import {
  deleteOldIdentityKeys,
  insertIdentityKey,
  listIdentityKeys,
  lockIdentityKeys,
  type StoredIdentityKey,
} from './identity-key-queries.js'

/** The public part of a key, as upstreams are given it (RFC 7517, RFC 8037). */
export interface PublicIdentityKey {
  kty: 'OKP'
  crv: 'Ed25519'
  x: string
  kid: string
  alg: 'EdDSA'
  use: 'sig'
}

/** A key that signs, by its id: the thumbprint of its public part (RFC 7638). */
export interface SigningIdentityKey {
  kid: string
  key: CryptoKey
}

/** The keys that all nodes share, to sign the caller's identity for upstreams. They rotate once a day. */
export interface IdentityKeys {
  /** The key that signs now. Throws `directory_unavailable` as long as there is none. */
  signing: () => SigningIdentityKey
  /** The keys that verify signatures: also those that sign soon, and those that signed until a while ago. */
  jwks: () => { keys: PublicIdentityKey[] }
  /** Every key that is published, newest first; one of them signs now. */
  list: () => { kid: string; createdAt: Date; signing: boolean }[]
  /**
   * Creates a key now. It is published at once and signs when upstreams know it. `begin` and `note` run first
   * and last in its transaction.
   */
  rotate: (
    begin: (tx: Tx) => Promise<void>,
    note: (tx: Tx, kid: string) => Promise<void>,
  ) => Promise<{ kid: string }>
  /**
   * Reads the stored keys, creates one when it is time, and deletes old ones. Never rejects: without the
   * database the known keys stay.
   */
  refresh: () => Promise<void>
  close: () => Promise<void>
}

interface Options {
  database: Database
  logger: Logger
  /** SECRET_KEY: seals the private keys. */
  secret: string
  /** The earlier secret. It still opens what it sealed. */
  previousSecret?: string | undefined
}

interface OpenedKey extends SigningIdentityKey {
  publicKey: PublicIdentityKey
}

type KeyAge = Pick<StoredIdentityKey, 'ageSeconds' | 'createdAt'>

/** The newest key is followed by a new one at this age. */
const rotateAfterSeconds = daySeconds
/** A new key is published for this long before it signs: longer than upstreams cache keys. */
const signsAfterSeconds = 600
/** Long after the last signature of a key. */
const deletion = { olderThanSeconds: 2 * daySeconds, successorSeconds: hourSeconds }
const refreshEveryMs = 60_000
const retryAfterMs = 1000

const privateJwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
})
type PrivateJwk = z.infer<typeof privateJwk>

const sealingKeyOf = (secret: string) =>
  new Uint8Array(hkdfSync('sha256', Buffer.from(secret, 'utf8'), '', 'mandate-gateway identity keys', 32))

async function seal(jwk: PrivateJwk, sealingKey: Uint8Array): Promise<string> {
  return await new CompactEncrypt(Buffer.from(JSON.stringify(jwk)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(sealingKey)
}

/**
 * Returns the plain text of a value that one of these keys sealed; undefined otherwise. The reason is not
 * reported.
 */
async function unseal(sealed: string, sealingKeys: Uint8Array[]): Promise<PrivateJwk | undefined> {
  for (const sealingKey of sealingKeys) {
    try {
      const { plaintext } = await compactDecrypt(sealed, sealingKey, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      })
      return privateJwk.parse(JSON.parse(Buffer.from(plaintext).toString()))
    } catch {
      // Another key may have sealed it.
    }
  }
  return undefined
}

async function publicKeyOf({ kty, crv, x }: PrivateJwk): Promise<PublicIdentityKey> {
  return { kty, crv, x, kid: await calculateJwkThumbprint({ kty, crv, x }), alg: 'EdDSA', use: 'sig' }
}

async function makeKey(sealingKey: Uint8Array): Promise<Parameters<typeof insertIdentityKey>[1]> {
  const { privateKey } = await generateKeyPair('EdDSA', { extractable: true })
  const jwk = privateJwk.parse(await exportJWK(privateKey))
  const publicJwk = await publicKeyOf(jwk)
  return { kid: publicJwk.kid, publicJwk, sealedPrivateKey: await seal(jwk, sealingKey) }
}

/**
 * The public part must match the sealed one, so that write access to the database is not enough to have a key
 * published.
 */
async function openKey(
  { kid, sealedPrivateKey }: StoredIdentityKey,
  sealingKeys: Uint8Array[],
): Promise<OpenedKey | undefined> {
  const jwk = await unseal(sealedPrivateKey, sealingKeys)
  if (!jwk) return undefined
  const publicKey = await publicKeyOf(jwk)
  return publicKey.kid === kid ? { kid, key: await importJWK(jwk, 'EdDSA'), publicKey } : undefined
}

/**
 * Opens each stored key once. Reports once the keys that cannot be opened; those neither sign nor are
 * published.
 */
function keyReader(sealingKeys: Uint8Array[], logger: Logger): (sql: Sql) => Promise<(OpenedKey & KeyAge)[]> {
  let known = new Map<string, OpenedKey | undefined>()
  return async (sql) => {
    const before = known
    const now: typeof known = new Map()
    const usable: (OpenedKey & KeyAge)[] = []
    for (const row of await listIdentityKeys(sql)) {
      const id = `${row.kid} ${row.sealedPrivateKey}`
      const opened = before.has(id) ? before.get(id) : await openKey(row, sealingKeys)
      if (!opened && !before.has(id))
        logger.warn('an identity key is left out: neither SECRET_KEY nor SECRET_KEY_PREVIOUS opens it', {
          kid: row.kid,
        })
      now.set(id, opened)
      if (opened) usable.push({ ...opened, ageSeconds: row.ageSeconds, createdAt: row.createdAt })
    }
    known = now
    return usable
  }
}

/**
 * Opens the identity keys, and creates the first one. It resolves without the database, too; then nothing can
 * be signed until the database is back.
 */
export async function openIdentityKeys({
  database,
  logger,
  secret,
  previousSecret,
}: Options): Promise<IdentityKeys> {
  const sealingKey = sealingKeyOf(secret)
  const readKeys = keyReader(
    [sealingKey, ...(previousSecret === undefined ? [] : [sealingKeyOf(previousSecret)])],
    logger,
  )
  /** Newest first. */
  let usable: Awaited<ReturnType<typeof readKeys>> = []
  let failing = false

  const isRotationDue = ([newest]: typeof usable) =>
    newest === undefined || newest.ageSeconds >= rotateAfterSeconds

  /** Reads the keys again under the lock: one node creates the key, and the others find it. */
  const rotate = () =>
    database.transaction(async (tx) => {
      await lockIdentityKeys(tx)
      if (isRotationDue(await readKeys(tx))) await addKey(tx)
    })
  const addKey = async (tx: Tx) => {
    const made = await makeKey(sealingKey)
    await insertIdentityKey(tx, made)
    logger.info('an identity key was made', { kid: made.kid })
    return made
  }

  const look = async () => {
    const found = await readKeys(database)
    const isDue = isRotationDue(found)
    if (isDue) await rotate()
    const deleted = await deleteOldIdentityKeys(database, deletion)
    usable = isDue || deleted > 0 ? await readKeys(database) : found
  }

  const attempt = async () => {
    try {
      await look()
      if (failing) logger.info('the identity keys can be read again')
      failing = false
    } catch (error) {
      if (!failing)
        logger.warn('the identity keys cannot be read; those at hand stay in use', {
          keys: usable.length,
          error,
        })
      failing = true
    }
  }

  let running = Promise.resolve()
  const refresh = () => {
    running = running.then(attempt) // One after the other: each caller gets what is stored at that moment.
    return running
  }

  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  const refreshLater = () => {
    if (isClosed) return
    timer = setTimeout(() => void refresh().then(refreshLater), failing ? retryAfterMs : refreshEveryMs)
    timer.unref()
  }

  await refresh()
  refreshLater()

  // When all keys are too new for upstreams to know, the oldest is the best known.
  const chosen = () => usable.find(({ ageSeconds }) => ageSeconds >= signsAfterSeconds) ?? usable.at(-1)

  return {
    signing: () => {
      const signing = chosen()
      if (!signing)
        throw new GatewayError(
          'directory_unavailable',
          'The gateway cannot vouch for callers yet. Try again shortly.',
        )
      return signing
    },
    list: () => usable.map(({ kid, createdAt }) => ({ kid, createdAt, signing: kid === chosen()?.kid })),
    rotate: async (begin, note) => {
      const { kid } = await database.transaction(async (tx) => {
        await begin(tx)
        await lockIdentityKeys(tx)
        const made = await addKey(tx)
        await note(tx, made.kid)
        return made
      })
      await refresh()
      return { kid }
    },
    jwks: () => ({ keys: usable.map(({ publicKey }) => publicKey) }),
    refresh,
    close: async () => {
      isClosed = true
      clearTimeout(timer)
      await running
    },
  }
}
