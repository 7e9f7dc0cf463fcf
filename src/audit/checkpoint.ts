import { createPrivateKey, createPublicKey, hkdfSync, sign, verify, type KeyObject } from 'node:crypto'
import { z } from 'zod'

/**
 * States that the chain had this hash at this position, signed (Ed25519, RFC 8032). Kept elsewhere, it shows
 * whether anything up to there was changed or cut off.
 */
export const checkpointSchema = z
  .strictObject({
    position: z.int().min(1).meta({ description: 'how many events are sealed up to here' }),
    hash: z.string().regex(/^[0-9a-f]{64}$/),
    sealedAt: z.iso.datetime(),
    signedBy: z
      .string()
      .regex(/^[\w-]{43}$/)
      .meta({ description: 'the Ed25519 public key, base64url' }),
    signature: z.string().regex(/^[\w-]{86}$/),
  })
  .meta({ id: 'AuditCheckpoint' })

export type Checkpoint = z.infer<typeof checkpointSchema>

/**
 * States that everything up to a position was archived, in a file with this digest (SHA-256). It is signed
 * like a checkpoint, and cannot be taken for one.
 */
export interface ArchiveRecord {
  position: number
  hash: string
  digest: string
  archivedAt: string
  signedBy: string
  signature: string
}

/** Signs checkpoints, and decides which signatures count. */
export interface CheckpointKeys {
  /** Signs a checkpoint. Throws when there is no secret. */
  sign: (what: Pick<Checkpoint, 'position' | 'hash' | 'sealedAt'>) => Checkpoint
  /** Signs the record of an archive. Throws when there is no secret. */
  signArchive: (what: Pick<ArchiveRecord, 'position' | 'hash' | 'digest' | 'archivedAt'>) => ArchiveRecord
  /** Returns whether a trusted key has signed this record. */
  isArchiveSigned: (record: ArchiveRecord) => boolean
  /** Returns whether a trusted key has signed this checkpoint. */
  isSigned: (checkpoint: Checkpoint) => boolean
  /** Returns whether a key is trusted: it is made from one of the secrets, or was named. */
  isTrusted: (publicKey: string) => boolean
  /** Returns the public key that signs now. */
  publicKey: () => string
}

interface Secrets {
  /** SECRET_KEY. The signing key is derived from it, so that the database alone is not enough to sign. */
  secret?: string | undefined
  previousSecret?: string | undefined
  /**
   * Further trusted public keys, in base64url: for callers without a secret, and for signatures from before
   * the secret was changed twice.
   */
  publicKeys?: string[]
}

/** The bytes before the 32 bytes of a private key (RFC 8410 §7). */
const privatePrefix = Buffer.from('302e020100300506032b657004220420', 'hex')

function keyOf(secret: string): KeyObject {
  const seed = Buffer.from(
    hkdfSync('sha256', Buffer.from(secret, 'utf8'), '', 'mandate-gateway audit checkpoints', 32),
  )
  return createPrivateKey({ key: Buffer.concat([privatePrefix, seed]), format: 'der', type: 'pkcs8' })
}

const publicPartOf = (key: KeyObject) =>
  z.object({ x: z.string() }).parse(createPublicKey(key).export({ format: 'jwk' })).x

const textOf = ({ position, hash, sealedAt }: Pick<Checkpoint, 'position' | 'hash' | 'sealedAt'>) =>
  Buffer.from(`mandate-gateway audit checkpoint 1\n${position}\n${hash}\n${sealedAt}`)

const archiveTextOf = ({
  position,
  hash,
  digest,
  archivedAt,
}: Pick<ArchiveRecord, 'position' | 'hash' | 'digest' | 'archivedAt'>) =>
  Buffer.from(`mandate-gateway audit archive 1\n${position}\n${hash}\n${digest}\n${archivedAt}`)

/** Creates the keys of checkpoints from the secrets that all nodes share. */
export function checkpointKeys({ secret, previousSecret, publicKeys = [] }: Secrets): CheckpointKeys {
  const own = secret === undefined ? undefined : keyOf(secret)
  const signedBy = own && publicPartOf(own)
  const trusted = new Set([
    ...publicKeys,
    ...[signedBy, previousSecret === undefined ? undefined : publicPartOf(keyOf(previousSecret))].filter(
      (key) => key !== undefined,
    ),
  ])
  const signed = (content: Buffer) => {
    if (!own || signedBy === undefined)
      throw new Error('checkpoints are signed with SECRET_KEY, and there is none')
    return { signedBy, signature: sign(null, content, own).toString('base64url') }
  }
  const isSignedBy = (by: string, content: Buffer, signature: string) =>
    trusted.has(by) &&
    verify(
      null,
      content,
      createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: by }, format: 'jwk' }),
      Buffer.from(signature, 'base64url'),
    )
  return {
    sign: (what) => ({
      position: what.position,
      hash: what.hash,
      sealedAt: what.sealedAt,
      ...signed(textOf(what)),
    }),
    signArchive: (what) => ({
      position: what.position,
      hash: what.hash,
      digest: what.digest,
      archivedAt: what.archivedAt,
      ...signed(archiveTextOf(what)),
    }),
    isSigned: (checkpoint) => isSignedBy(checkpoint.signedBy, textOf(checkpoint), checkpoint.signature),
    isArchiveSigned: (record) => isSignedBy(record.signedBy, archiveTextOf(record), record.signature),
    isTrusted: (publicKey) => trusted.has(publicKey),
    publicKey: () => {
      if (signedBy === undefined) throw new Error('checkpoints are signed with SECRET_KEY, and there is none')
      return signedBy
    },
  }
}
