import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server'
import { z } from 'zod'
import type { Config } from '../../config.js'

/** As whom the gateway asks for passkeys, and from which pages it takes them. */
export interface RelyingParty {
  id: string
  origins: string[]
}

/** Returns the relying party: the host of PUBLIC_URL or WEBAUTHN_RP_ID, with all origins below it. */
export function relyingPartyOf(
  { WEBAUTHN_RP_ID, CORS_ORIGINS }: Pick<Config, 'WEBAUTHN_RP_ID' | 'CORS_ORIGINS'>,
  publicUrl: string,
): RelyingParty {
  const own = new URL(publicUrl)
  const id = WEBAUTHN_RP_ID ?? own.hostname
  const isBelow = (host: string) => host === id || host.endsWith(`.${id}`)
  return {
    id,
    origins: [own.origin, ...CORS_ORIGINS.filter((origin) => isBelow(new URL(origin).hostname))],
  }
}

const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/)
const transports = z.array(z.string().max(32)).max(8)
const credentialFields = {
  id: base64url.max(1400),
  rawId: base64url.max(1400),
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish(),
  clientExtensionResults: z.looseObject({}).default({}),
}

/** What a browser answers when a passkey is made (WebAuthn, RegistrationResponseJSON). */
export const registrationResponse = z.looseObject({
  ...credentialFields,
  response: z.looseObject({
    clientDataJSON: base64url,
    attestationObject: base64url,
    transports: transports.nullish(),
  }),
})
export type RegistrationResponse = z.infer<typeof registrationResponse>

/** What a browser answers when a passkey is used (WebAuthn, AuthenticationResponseJSON). */
export const assertionResponse = z.looseObject({
  ...credentialFields,
  response: z.looseObject({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    userHandle: z.string().nullish(),
  }),
})
export type AssertionResponse = z.infer<typeof assertionResponse>

/** ES256, EdDSA and RS256, by their numbers in COSE. */
const algorithms = [-7, -8, -257]
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))

/** Returns the 16 bytes of a user's id in base64url: a passkey says them, and nothing else of its owner. */
export const userHandleOf = (userId: string): string =>
  Buffer.from(userId.replaceAll('-', ''), 'hex').toString('base64url')

interface Owner {
  id: string
  username: string
  fullName: string | null
}

type Descriptor = Pick<StoredPasskey, 'credentialId' | 'transports'>
const described = ({ credentialId, transports: known }: Descriptor) => ({
  id: credentialId,
  transports: known,
})

/** Returns the options by which a browser makes a passkey of this user, on no device that has one already. */
export const creationOptions = (party: RelyingParty, user: Owner, challenge: string, known: Descriptor[]) =>
  generateRegistrationOptions({
    rpName: 'Mandate Gateway',
    rpID: party.id,
    userName: user.username,
    userDisplayName: user.fullName ?? user.username,
    userID: bytesOf(userHandleOf(user.id)),
    challenge: bytesOf(challenge),
    attestationType: 'none',
    excludeCredentials: known.map(described),
    authenticatorSelection: {
      residentKey: 'required',
      requireResidentKey: true,
      userVerification: 'required',
    },
    supportedAlgorithmIDs: algorithms,
  })

/** Returns the options by which a browser uses a passkey: one of `allowed`, or any where there are none. */
export const requestOptions = (party: RelyingParty, challenge: string, allowed: Descriptor[]) =>
  generateAuthenticationOptions({
    rpID: party.id,
    challenge: bytesOf(challenge),
    allowCredentials: allowed.map(described),
    userVerification: 'required',
  })

/** What is known of a passkey. */
export interface StoredPasskey {
  credentialId: string
  /** COSE, in base64url. */
  publicKey: string
  signCount: number
  transports: string[]
}

/** Returns the passkey that a browser made for a challenge; undefined where the answer does not prove it. */
export async function verifyNewPasskey(
  party: RelyingParty,
  challenge: string,
  response: RegistrationResponse,
): Promise<StoredPasskey | undefined> {
  try {
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: response as Parameters<typeof verifyRegistrationResponse>[0]['response'],
      expectedChallenge: challenge,
      expectedOrigin: party.origins,
      expectedRPID: party.id,
      requireUserVerification: true,
      supportedAlgorithmIDs: algorithms,
    })
    if (!verified || registrationInfo.credential.id !== response.id) return undefined
    return {
      credentialId: registrationInfo.credential.id,
      publicKey: Buffer.from(registrationInfo.credential.publicKey).toString('base64url'),
      signCount: registrationInfo.credential.counter,
      transports: response.response.transports ?? [],
    }
  } catch {
    return undefined // the library throws for everything that is wrong with an answer
  }
}

/** A passkey that was used. */
export interface UsedPasskey {
  signCount: number
  /** Whether its key is in hardware, or can be copied between devices (RFC 8176). */
  device: 'hwk' | 'swk'
}

/**
 * Returns how a passkey was used for a challenge, by its owner, on a page of ours, with its user verified;
 * undefined where the answer does not prove it, or where the counter did not rise: then it may be a copy.
 */
export async function verifyPasskey(
  party: RelyingParty,
  challenge: string,
  response: AssertionResponse,
  { userId, ...stored }: StoredPasskey & { userId: string },
): Promise<UsedPasskey | undefined> {
  const { userHandle } = response.response
  if (userHandle && userHandle !== userHandleOf(userId)) return undefined
  try {
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: response as Parameters<typeof verifyAuthenticationResponse>[0]['response'],
      expectedChallenge: challenge,
      expectedOrigin: party.origins,
      expectedRPID: party.id,
      requireUserVerification: true,
      credential: {
        id: stored.credentialId,
        publicKey: bytesOf(stored.publicKey),
        counter: stored.signCount,
      },
    })
    if (!verified) return undefined
    const { newCounter, credentialDeviceType } = authenticationInfo
    return { signCount: newCounter, device: credentialDeviceType === 'multiDevice' ? 'swk' : 'hwk' }
  } catch {
    return undefined // the library throws for everything that is wrong with an answer
  }
}
