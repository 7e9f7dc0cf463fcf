import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

/** CBOR (RFC 8949) of the values that WebAuthn needs. */
type Cbor = number | string | Buffer | Map<number | string, Cbor>

function headOf(major: number, value: number): Buffer {
  if (value < 24) return Buffer.from([(major << 5) | value])
  if (value < 256) return Buffer.from([(major << 5) | 24, value])
  const head = Buffer.alloc(3)
  head.writeUInt8((major << 5) | 25)
  head.writeUInt16BE(value, 1)
  return head
}

function encode(value: Cbor): Buffer {
  if (typeof value === 'number') return value >= 0 ? headOf(0, value) : headOf(1, -1 - value)
  if (typeof value === 'string')
    return Buffer.concat([headOf(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (Buffer.isBuffer(value)) return Buffer.concat([headOf(2, value.length), value])
  return Buffer.concat([
    headOf(5, value.size),
    ...[...value].flatMap(([key, one]) => [encode(key), encode(one)]),
  ])
}

const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest()
const base64url = (data: Buffer | string) => Buffer.from(data).toString('base64url')
const partOf = (jwk: Record<string, unknown>, name: string) => Buffer.from(String(jwk[name]), 'base64url')

type Algorithm = 'ES256' | 'EdDSA' | 'RS256' | 'ES384'

function makeKey(algorithm: Algorithm): { privateKey: KeyObject; cose: Buffer } {
  if (algorithm === 'EdDSA') {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const x = partOf(publicKey.export({ format: 'jwk' }), 'x')
    return {
      privateKey,
      cose: encode(
        new Map<number, Cbor>([
          [1, 1],
          [3, -8],
          [-1, 6],
          [-2, x],
        ]),
      ),
    }
  }
  if (algorithm === 'RS256') {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = publicKey.export({ format: 'jwk' })
    const entries: [number, Cbor][] = [
      [1, 3],
      [3, -257],
      [-1, partOf(jwk, 'n')],
      [-2, partOf(jwk, 'e')],
    ]
    return { privateKey, cose: encode(new Map(entries)) }
  }
  const isP256 = algorithm === 'ES256'
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: isP256 ? 'P-256' : 'P-384' })
  const jwk = publicKey.export({ format: 'jwk' })
  const [alg, curve] = isP256 ? [-7, 1] : [-35, 2]
  const entries: [number, Cbor][] = [
    [1, 2],
    [3, alg],
    [-1, curve],
    [-2, partOf(jwk, 'x')],
    [-3, partOf(jwk, 'y')],
  ]
  return { privateKey, cose: encode(new Map(entries)) }
}

/** What a test bends of an answer. */
export interface Bent {
  origin?: string
  rpId?: string
  challenge?: string
  type?: string
  /** User verified (by PIN or fingerprint). */
  isVerified?: boolean
  userHandle?: string | null
  counter?: number
}

/** A passkey that the authenticator has made. */
export interface MadePasskey {
  id: string
  create: (options: { challenge: string }, bent?: Bent) => Record<string, unknown>
  use: (options: { challenge: string }, bent?: Bent) => Record<string, unknown>
}

const flagsOf = ({
  isVerified,
  withKey,
  isSynced,
}: {
  isVerified: boolean
  withKey: boolean
  isSynced: boolean
}) => 0x01 | (isVerified ? 0x04 : 0) | (isSynced ? 0x18 : 0) | (withKey ? 0x40 : 0)

/**
 * An authenticator in software (WebAuthn): it makes one passkey for an account on a site, and answers
 * challenges with it. Its key can be copied between devices unless it is `isHardware`.
 */
export function makePasskey(
  site: { rpId: string; origin: string; userHandle: string },
  {
    algorithm = 'ES256',
    counts = true,
    isHardware = false,
  }: {
    algorithm?: Algorithm
    counts?: boolean
    isHardware?: boolean
  } = {},
): MadePasskey {
  const { privateKey, cose } = makeKey(algorithm)
  const id = randomBytes(32)
  let counter = 0
  const authenticatorData = (
    { rpId = site.rpId, isVerified = true, counter: chosen }: Bent,
    withKey: boolean,
  ) => {
    if (counts) counter += 1
    const count = Buffer.alloc(4)
    count.writeUInt32BE(chosen ?? counter)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(id.length)
    const flags = flagsOf({ isVerified, withKey, isSynced: !isHardware })
    const head = [sha256(rpId), Buffer.from([flags]), count]
    return Buffer.concat(withKey ? [...head, Buffer.alloc(16), length, id, cose] : head)
  }
  const clientData = (type: string, options: { challenge: string }, bent: Bent) =>
    JSON.stringify({
      type: bent.type ?? type,
      challenge: bent.challenge ?? options.challenge,
      origin: bent.origin ?? site.origin,
      crossOrigin: false,
    })
  const credential = {
    id: base64url(id),
    rawId: base64url(id),
    type: 'public-key',
    clientExtensionResults: {},
  }
  return {
    id: credential.id,
    create: (options, bent = {}) => {
      const authData = authenticatorData(bent, true)
      const attestation = new Map<string, Cbor>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData],
      ])
      return {
        ...credential,
        response: {
          clientDataJSON: base64url(clientData('webauthn.create', options, bent)),
          attestationObject: base64url(encode(attestation)),
          transports: ['internal'],
        },
      }
    },
    use: (options, bent = {}) => {
      const data = authenticatorData(bent, false)
      const client = clientData('webauthn.get', options, bent)
      const signed = Buffer.concat([data, sha256(client)])
      const signature = sign(algorithm === 'EdDSA' ? null : 'sha256', signed, privateKey)
      const userHandle = bent.userHandle === undefined ? site.userHandle : bent.userHandle
      return {
        ...credential,
        response: {
          clientDataJSON: base64url(client),
          authenticatorData: base64url(data),
          signature: base64url(signature),
          ...(userHandle === null ? {} : { userHandle }),
        },
      }
    },
  }
}
