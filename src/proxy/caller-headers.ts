import type { Request } from 'express'

/** The headers that tell an upstream the caller. Clients may send none of them. */
export const callerHeaders = [
  'x-user-id',
  'x-username',
  'x-authority',
  'x-session-id',
  'x-mandate-id',
  'x-instance-id',
  'x-role-ids',
  'x-access-level',
  'x-portal-client-id',
  'x-gateway-identity',
] as const

/** The parts of the caller's identity that a route may disclose to its service. */
export const disclosedParts = ['user', 'session', 'place', 'roles', 'level', 'identity'] as const
type Part = (typeof disclosedParts)[number]

/** Which parts a route tells. `key` tells two of them apart. */
export type Disclosure = Readonly<Record<Part, boolean> & { key: string }>

/** Returns the parts that a route discloses to its service; without a list, all. */
export function disclosureOf(tell: readonly Part[] | undefined): Disclosure {
  const tells = (part: Part) => tell?.includes(part) ?? true
  return {
    key: disclosedParts.filter(tells).join(),
    user: tells('user'),
    session: tells('session'),
    place: tells('place'),
    roles: tells('roles'),
    level: tells('level'),
    identity: tells('identity'),
  }
}

/**
 * Identity and forwarding headers together stay below this: many servers accept 8 KiB of headers in a line or
 * in all.
 */
const maxBytes = 8192
/** Bytes of a header line beside its name and value. */
const separators = 4

/** Encodes a header value: everything but printable ASCII, and `%` itself, is percent-encoded as UTF-8. */
const asHeaderValue = (text: string) => text.replace(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent)

function bytesOf(headers: string[], from: number): number {
  let bytes = 0
  for (let index = from; index < headers.length; index += 2)
    bytes += (headers[index]?.length ?? 0) + (headers[index + 1]?.length ?? 0) + separators
  return bytes
}

interface Telling {
  disclosure: Disclosure
  /** The signed identity. */
  identity?: string | undefined
  /** Where in the list the headers begin that the bound is about. */
  from: number
}

/**
 * Adds the forwarded identity: names and values in turn. `X-Role-Ids` comes last, and only if all headers
 * stay under 8 KiB. Without it the identity holds a digest, by which the service can ask for the roles.
 */
export function pushCallerHeaders(
  headers: string[],
  { state: { principal, portalClient, context, accessLevel } }: Request,
  { disclosure, identity, from }: Telling,
): void {
  if (portalClient && disclosure.user) headers.push('X-Portal-Client-Id', portalClient.id)
  if (principal && disclosure.user)
    headers.push(
      'X-User-Id',
      principal.user.id,
      'X-Username',
      asHeaderValue(principal.user.username),
      'X-Authority',
      principal.authority,
    )
  if (typeof principal?.sessionId === 'string' && disclosure.session)
    headers.push('X-Session-Id', principal.sessionId)
  if (principal && context?.mandateId && disclosure.place) headers.push('X-Mandate-Id', context.mandateId)
  if (principal && context?.featureInstanceId && disclosure.place)
    headers.push('X-Instance-Id', context.featureInstanceId)
  if (principal && accessLevel && disclosure.level) headers.push('X-Access-Level', accessLevel)
  if (identity !== undefined) headers.push('X-Gateway-Identity', identity)
  if (!principal || !context || context.roleIds.length === 0 || !disclosure.roles) return
  headers.push('X-Role-Ids', context.roleIds.join(','))
  if (bytesOf(headers, from) > maxBytes) headers.length -= 2
}
