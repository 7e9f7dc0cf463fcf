import { createHash } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Level } from '../domain/permissions.js'
import type { PortalClient } from '../authentication/current-client.js'
import { proofOf } from '../authentication/proof.js'
import type { Principal } from '../authentication/principal.js'
import { disclosureOf, type Disclosure } from './caller-headers.js'
import type { IdentityKeys } from './identity-keys.js'

/** The context of a caller, as far as an upstream is told. */
interface Place {
  /** The decision that let the caller in: the same object as long as it is remembered. */
  readonly entry: object
  mandateId: string | null
  featureInstanceId: string | null
  roleIds: string[]
}

/** Of whom, and to whom, an identity speaks. */
export interface Introduction {
  caller: Principal | PortalClient
  /** Undefined on routes without a context. */
  context: Place | undefined
  /** The level that the route's permission gave. */
  accessLevel: Level | undefined
  /** The upstream's name in the route table. No other upstream may accept the identity. */
  upstream: string
  /** The parts that the route discloses to its service. The default is all. */
  disclosure?: Disclosure
}

/**
 * Returns the JWT for the header `X-Gateway-Identity`, at once if it is cached. Throws or rejects when
 * nothing can be signed.
 */
export type IdentityFor = (introduction: Introduction) => string | Promise<string>

/** A token that was, or is being, signed. */
interface Signed {
  kid: string
  atMs: number
  token: string | Promise<string>
}

/** The cached tokens of one caller: by context, then by access level and upstream. */
interface Shelf {
  byEntry: WeakMap<object, Map<string, Signed>>
  /** Tokens put here since it was empty. */
  count: number
}

const lifetimeSeconds = 60
const reusedForMs = (lifetimeSeconds * 1000) / 2
/** Tokens of one caller. A caller in many contexts costs more signatures, not more memory. */
const maxTokens = 200

/** The claims of a client of the portal, who is not a user. */
const claimsOfClient = ({ id, mandateId, isPreview }: PortalClient) => ({
  sub: id,
  portalClientId: id,
  mandateId,
  ...(isPreview ? { preview: true } : {}),
})

const everything = disclosureOf(undefined)

/**
 * Bytes that role ids and the username may take in the claims. Together with the header `X-Role-Ids`
 * everything stays under 8 KiB.
 */
const maxListedBytes = 2600
/** A UUID in quotes and a comma, and the username, in base64url. */
const listedBytes = (roleIds: string[], username: string) =>
  roleIds.length * 52 + (Buffer.byteLength(username) * 4) / 3

/**
 * The roles. Many roles become the SHA-256 of `X-Role-Ids`: a service checks that header by it, or asks
 * `/auth/identity/roles`.
 */
function roleClaims(roleIds: string[], username: string): { roleIds: string[] } | { roleIdsDigest: string } {
  if (listedBytes(roleIds, username) <= maxListedBytes || roleIds.length === 0) return { roleIds }
  return { roleIdsDigest: createHash('sha256').update(roleIds.join(',')).digest('base64url') }
}

/** How and when the caller was proved (OpenID Connect Core §2). */
function assuranceClaims(caller: Principal): Record<string, unknown> {
  const { acr, amr, authTimeMs } = proofOf(caller, Date.now())
  return {
    acr,
    ...(amr.length > 0 ? { amr } : {}),
    ...(authTimeMs === null ? {} : { auth_time: Math.floor(authTimeMs / 1000) }),
  }
}

/** The claims for an upstream. Claims that do not apply are left out. */
function claimsOf(
  { caller, context, accessLevel, upstream, disclosure = everything }: Introduction,
  iat: number,
): Record<string, unknown> {
  const common = { iss: 'mandate-gateway', aud: upstream, iat, exp: iat + lifetimeSeconds }
  if ('link' in caller) return { ...common, ...claimsOfClient(caller) }
  const { user, authority, sessionId } = caller
  return {
    ...common,
    sub: user.username,
    userId: user.id,
    authenticationAuthority: authority,
    ...(sessionId === null || !disclosure.session ? {} : { sid: sessionId }),
    ...(context?.mandateId && disclosure.place ? { mandateId: context.mandateId } : {}),
    ...(context?.featureInstanceId && disclosure.place ? { instanceId: context.featureInstanceId } : {}),
    ...(context && disclosure.roles ? roleClaims(context.roleIds, user.username) : {}),
    ...assuranceClaims(caller),
    ...(accessLevel && disclosure.level ? { accessLevel } : {}),
    ...(user.isSysAdmin ? { isSysAdmin: true } : {}),
    ...(user.isPlatformAdmin ? { isPlatformAdmin: true } : {}),
  }
}

/**
 * Signs the caller's identity in JWTs that live for a minute. Each is signed once and used for half its life
 * by all requests with the same claims. It is dropped with the login and context that it describes, and when
 * another key signs.
 */
export function createIdentities({
  keys,
  now = Date.now,
}: {
  keys: Pick<IdentityKeys, 'signing'>
  now?: () => number
}): IdentityFor {
  const shelves = new WeakMap<object, Shelf>()
  const nowhere = {}

  /** The tokens of a caller in one context, with room for one more. */
  const tokensOf = (principal: object, entry: object): { shelf: Shelf; tokens: Map<string, Signed> } => {
    let shelf = shelves.get(principal)
    if (!shelf || shelf.count >= maxTokens) {
      shelf = { byEntry: new WeakMap(), count: 0 }
      shelves.set(principal, shelf)
    }
    let tokens = shelf.byEntry.get(entry)
    if (!tokens) {
      tokens = new Map()
      shelf.byEntry.set(entry, tokens)
    }
    return { shelf, tokens }
  }

  const sign = (introduction: Introduction): Signed => {
    const { kid, key } = keys.signing()
    const atMs = now()
    const token = new SignJWT(claimsOf(introduction, Math.floor(atMs / 1000)))
      .setProtectedHeader({ alg: 'EdDSA', typ: 'gateway-identity+jwt', kid })
      .sign(key)
    return { kid, atMs, token }
  }

  /** If the clock was set back, the token would lie in the future, and upstreams would refuse it. */
  const isGood = ({ kid, atMs }: Signed, nowMs: number) =>
    kid === keys.signing().kid && nowMs >= atMs && nowMs - atMs < reusedForMs

  return (introduction) => {
    const { caller, context, accessLevel, upstream, disclosure = everything } = introduction
    const owner = 'link' in caller ? caller.link : caller // an object that lives as long as it is cached
    const name = `${accessLevel ?? ''} ${upstream} ${disclosure.key}`
    const entry = context?.entry ?? nowhere
    const known = shelves.get(owner)?.byEntry.get(entry)?.get(name)
    if (known && isGood(known, now())) return known.token

    const signed = sign(introduction)
    const { shelf, tokens } = tokensOf(owner, entry)
    if (!tokens.has(name)) shelf.count += 1
    tokens.set(name, signed)
    const forget = () => {
      if (tokens.get(name) === signed) tokens.delete(name)
    }
    Promise.resolve(signed.token).then((token) => {
      signed.token = token
    }, forget)
    return signed.token
  }
}
