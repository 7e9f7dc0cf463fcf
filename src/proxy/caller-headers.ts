import type { Request } from 'express'

/** The headers by which an upstream is told who is calling. Clients may send none of them. */
export const callerHeaders = [
  'x-user-id', 'x-username', 'x-authority', 'x-session-id', 'x-mandate-id', 'x-instance-id', 'x-role-ids',
  'x-access-level', 'x-portal-client-id', 'x-gateway-identity',
] as const

/** A header's value may hold printable ASCII: everything else, and `%` itself, is percent-encoded as UTF-8. */
const asHeaderValue = (text: string) => text.replace(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent)

/** Adds what an upstream is told of the caller and the place: names and values, in turn. */
export function pushCallerHeaders(headers: string[], { principal, portalClient, context, accessLevel }: Request): void {
  if (portalClient) headers.push('X-Portal-Client-Id', portalClient.id)
  if (!principal) return
  headers.push('X-User-Id', principal.user.id, 'X-Username', asHeaderValue(principal.user.username), 'X-Authority', principal.authority)
  if (principal.sessionId !== null) headers.push('X-Session-Id', principal.sessionId)
  if (context?.mandateId) headers.push('X-Mandate-Id', context.mandateId)
  if (context?.featureInstanceId) headers.push('X-Instance-Id', context.featureInstanceId)
  if (context && context.roleIds.length > 0) headers.push('X-Role-Ids', context.roleIds.join(','))
  if (accessLevel) headers.push('X-Access-Level', accessLevel)
}
