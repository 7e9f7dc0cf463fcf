import { createHash } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Level } from '../domain/permissions.js'
import type { PortalClient } from '../authentication/current-client.js'
import type { Principal } from '../authentication/principal.js'
import { disclosureOf, type Disclosure } from './caller-headers.js'
import type { IdentityKeys } from './identity-keys.js'

/** Where a caller is, as far as an upstream is told. */
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
  /** Undefined on routes that ask for no place. */
  context: Place | undefined
  /** The level that the route's permission gave. */
  accessLevel: Level | undefined
  /** The upstream's name in the route table: nobody else may accept the identity. */
  upstream: string
  /** What the route tells its service; without it everything. */
  disclosure?: Disclosure
}

/**
 * The JWT for the header `X-Gateway-Identity`: at once where one is remembered. Throws or rejects when
 * nothing can be signed.
 */
export type IdentityFor = (introduction: Introduction) => string | Promise<string>

/** A token that was, or is being, signed. */
interface Signed {
  kid: string
  atMs: number
  token: string | Promise<string>
}

/** What is remembered of one caller: by place, then by access level and upstream. */
interface Shelf {
  byEntry: WeakMap<object, Map<string, Signed>>
  /** Tokens put here since it was empty. */
  count: number
}

const lifetimeSeconds = 60
const reusedForMs = (lifetimeSeconds * 1000) / 2
/** Tokens of one caller: one who is in many places costs some signatures more, and not memory. */
const maxTokens = 200

/** A client of the portal is nobody that a user's claims could be read of. */
const claimsOfClient = ({ id, mandateId, isPreview }: PortalClient) => ({
  sub: id,
  portalClientId: id,
  mandateId,
  ...(isPreview ? { preview: true } : {}),
})

const everything = disclosureOf(undefined)

/**
 * Bytes that role ids and the username may take in the claims: with the header `X-Role-Ids` beside them all
 * stays under 8 KiB.
 */
const maxListedBytes = 2600
/** A UUID in quotes and a comma, and the username, in base64url. */
const listedBytes = (roleIds: string[], username: string) =>
  roleIds.length * 52 + (Buffer.byteLength(username) * 4) / 3

/**
 * The roles, or, of many, the SHA-256 of `X-Role-Ids`: a service checks that header by it, or asks
 * `/auth/identity/roles`.
 */
function roleClaims(roleIds: string[], username: string): { roleIds: string[] } | { roleIdsDigest: string } {
  if (listedBytes(roleIds, username) <= maxListedBytes || roleIds.length === 0) return { roleIds }
  return { roleIdsDigest: createHash('sha256').update(roleIds.join(',')).digest('base64url') }
}

/** What an upstream is told; what does not apply is left out. */
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
    ...(accessLevel && disclosure.level ? { accessLevel } : {}),
    ...(user.isSysAdmin ? { isSysAdmin: true } : {}),
    ...(user.isPlatformAdmin ? { isPlatformAdmin: true } : {}),
  }
}

/**
 * Tells upstreams who is calling, in JWTs that live for a minute. Each is signed once and used for half its
 * life by all requests that say the same; it is forgotten with the login and the place that it speaks of, and
 * when another key signs.
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

  /** The tokens of a caller in a place. With room for one more. */
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

  /** A clock that was set back makes the token one of the future, which upstreams would refuse. */
  const isGood = ({ kid, atMs }: Signed, nowMs: number) =>
    kid === keys.signing().kid && nowMs >= atMs && nowMs - atMs < reusedForMs

  return (introduction) => {
    const { caller, context, accessLevel, upstream, disclosure = everything } = introduction
    const owner = 'link' in caller ? caller.link : caller // what lives as long as it is remembered
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
