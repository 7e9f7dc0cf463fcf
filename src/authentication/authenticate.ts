import type { IncomingMessage } from 'node:http'
import type { Directory } from '../coherence/directory.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/chain.js'
import { cookieValue } from '../http/cookies.js'
import type { Policy } from '../http/policy.js'
import { decidePrincipal, type Principal } from './principal.js'
import type { VerifiedClaims } from './verify-token.js'

interface Dependencies {
  directory: Pick<Directory, 'principal'>
  verifyToken: (token: string) => Promise<VerifiedClaims>
}

/** RFC 6750 §2.1: the token of an `Authorization: Bearer` header, its scheme in any case. */
function bearerToken(header: string | undefined): string | undefined {
  return /^bearer +(.+)$/i.exec(header ?? '')?.[1]
}

/** The cookie's token, and only without one the header's: a page cannot choose what its cookie says. */
export function extractToken(req: IncomingMessage): string | undefined {
  return cookieValue(req, 'auth_token') ?? bearerToken(req.headers.authorization)
}

async function loadPrincipal(token: string, { directory, verifyToken }: Dependencies): Promise<Principal> {
  const claims = await verifyToken(token)
  let state
  try {
    state = await directory.principal(claims.username, claims.jti)
  } catch (cause) {
    throw new GatewayError('authentication_unavailable', 'Authentication service temporarily unavailable. Please contact administrator.', { cause })
  }
  return decidePrincipal(claims, state, Date.now())
}

/** Finds out who is calling, into `req.principal`: the authentication table, row by row. */
export function authenticate(dependencies: Dependencies): (policy: Policy['auth']) => Middleware {
  return (policy) => async (req, _res, next) => {
    if (policy === 'portal') throw new GatewayError('portal_access_required', 'Access to the portal is required: open the link that you were given')
    const token = extractToken(req)
    if (token !== undefined) req.principal = await loadPrincipal(token, dependencies)
    else if (policy === 'required') throw new GatewayError('authentication_required', 'Not authenticated')
    next()
  }
}
