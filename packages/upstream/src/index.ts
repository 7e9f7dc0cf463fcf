import { createHash } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose'

/** The caller, mandate and instance of a request, as the gateway vouches for them. */
export interface GatewayIdentity {
  userId: string
  /** Unique; it never changes. */
  username: string
  /** How the caller signed in: `local`, `google`, `msft`, `oidc`. */
  authority: string
  /** The session; null for tokens without one, such as those of service accounts. */
  sessionId: string | null
  mandateId: string | null
  instanceId: string | null
  /** The caller's roles in that mandate and instance. */
  roleIds: string[]
  /**
   * What the route's permission lets the caller touch: `m` their own, `g` their group's, `a` all; null where
   * the route asks for no permission.
   */
  accessLevel: 'm' | 'g' | 'a' | null
  isSysAdmin: boolean
  isPlatformAdmin: boolean
}

/**
 * Why an identity is refused: it is wrong, or it cannot be checked at the moment. `cause` has the details,
 * for a log.
 */
export class IdentityError extends Error {
  constructor(
    readonly code: 'identity_invalid' | 'identity_unavailable',
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause })
    this.name = 'IdentityError'
  }
}

/** Where the gateway's public keys are, and the name of this service. */
export type VerifierOptions = ({ gatewayUrl: string | URL } | { jwksUrl: string | URL }) & {
  /** This service's name under `upstreams` in the gateway's route table. */
  audience: string
  /** How long fetched keys are used. */
  cacheMs?: number
  /** An unknown key makes the verifier fetch the keys again, but not sooner than this after the last time. */
  cooldownMs?: number
  /** Time limit for fetching the keys. */
  timeoutMs?: number
}

/** Verifies the identities that the gateway sends. */
export interface IdentityVerifier {
  /**
   * Returns the identity in the token. Rejects with an IdentityError. An identity with many roles holds only
   * their digest. Then `roleIds`, the header `X-Role-Ids` of the same request, counts if it has that digest;
   * otherwise the gateway is asked for the roles.
   */
  verify: (token: string, roleIds?: string) => Promise<GatewayIdentity>
}

/** Options of the middleware. */
export type MiddlewareOptions = VerifierOptions & {
  /**
   * Let requests without an identity pass, for routes with `auth: optional` or `public`:
   * `req.gatewayIdentity` stays undefined. A wrong one is refused all the same.
   */
  optional?: boolean
  /** Called for each refusal, for a log. */
  onRefusal?: (error: IdentityError, req: Request) => void
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** The caller, mandate and instance, as the gateway vouches for them. */
      gatewayIdentity?: GatewayIdentity
    }
  }
}

const maxAgeSeconds = 60
const clockToleranceSeconds = 5
const retryAfterSeconds = 2

const invalid = (cause?: unknown) =>
  new IdentityError('identity_invalid', 'The request carries no valid identity of the gateway', cause)

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

function textOf(value: unknown, form = /./s): string {
  if (typeof value !== 'string' || !form.test(value)) throw invalid()
  return value
}

const idOrNull = (value: unknown) => (value === undefined ? null : textOf(value, uuid))

function flagOf(value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw invalid()
  return value ?? false
}

function levelOf(value: unknown): GatewayIdentity['accessLevel'] {
  if (value === undefined) return null
  if (value !== 'm' && value !== 'g' && value !== 'a') throw invalid()
  return value
}

function idsOf(value: unknown): string[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw invalid()
  return value.map((id) => textOf(id, uuid))
}

function identityOf(claims: JWTPayload, roleIds: string[]): GatewayIdentity {
  return {
    userId: textOf(claims.userId, uuid),
    username: textOf(claims.sub),
    authority: textOf(claims.authenticationAuthority),
    sessionId: idOrNull(claims.sid),
    mandateId: idOrNull(claims.mandateId),
    instanceId: idOrNull(claims.instanceId),
    roleIds,
    accessLevel: levelOf(claims.accessLevel),
    isSysAdmin: flagOf(claims.isSysAdmin),
    isPlatformAdmin: flagOf(claims.isPlatformAdmin),
  }
}

/**
 * Returns the function that finds the gateway's keys, and fetches them when needed. A failed fetch is not a
 * fault of the token.
 */
function keysOf(
  url: URL,
  { cacheMs = 600_000, cooldownMs = 30_000, timeoutMs = 3000 }: VerifierOptions,
): JWTVerifyGetKey {
  const remote = createRemoteJWKSet(url, {
    cacheMaxAge: cacheMs,
    cooldownDuration: cooldownMs,
    timeoutDuration: timeoutMs,
  })
  return async (header, token) => {
    if (typeof header.kid !== 'string') throw invalid()
    try {
      return await remote(header, token)
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) throw error
      throw new IdentityError(
        'identity_unavailable',
        'The gateway’s keys cannot be fetched. Try again shortly.',
        error,
      )
    }
  }
}

const digestOf = (roleIds: string) => createHash('sha256').update(roleIds).digest('base64url')

/** How many digests of roles are kept: few callers have so many roles. */
const maxRemembered = 500

/** Returns the function that finds the roles of an identity with a digest. */
function rolesOf(
  url: URL,
  { timeoutMs = 3000 }: VerifierOptions,
): (token: string, digest: string, header: string | undefined) => Promise<string[]> {
  const known = new Map<string, string[]>()
  return async (token, digest, header) => {
    if (header !== undefined && digestOf(header) === digest) return idsOf(header.split(','))
    const remembered = known.get(digest)
    if (remembered) return remembered
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ identity: token }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      if (!answer.ok) throw new Error(`the gateway responded ${answer.status}`)
      const body: unknown = await answer.json()
      const roleIds = idsOf(
        typeof body === 'object' && body !== null && 'roleIds' in body ? body.roleIds : null,
      )
      if (known.size >= maxRemembered) known.clear()
      if (digestOf(roleIds.join(',')) === digest) known.set(digest, roleIds) // otherwise they have changed since
      return roleIds
    } catch (error) {
      throw new IdentityError(
        'identity_unavailable',
        'The roles of this identity cannot be fetched from the gateway. Try again shortly.',
        error,
      )
    }
  }
}

/** Creates a verifier. Throws a TypeError without an audience. */
export function createIdentityVerifier(options: VerifierOptions): IdentityVerifier {
  const { audience } = options
  // Without an audience, the identities for any upstream would be accepted.
  if (typeof audience !== 'string' || audience === '')
    throw new TypeError('audience must be this service’s name in the gateway’s route table')
  const jwksUrl =
    'jwksUrl' in options ? new URL(options.jwksUrl) : new URL('/.well-known/jwks.json', options.gatewayUrl)
  const keys = keysOf(jwksUrl, options)
  const findRoles = rolesOf(new URL('/auth/identity/roles', jwksUrl), options)
  return {
    verify: async (token, roleIds) => {
      try {
        const { payload } = await jwtVerify(token, keys, {
          algorithms: ['EdDSA'],
          typ: 'gateway-identity+jwt',
          issuer: 'mandate-gateway',
          audience,
          requiredClaims: ['exp'],
          maxTokenAge: maxAgeSeconds,
          clockTolerance: clockToleranceSeconds,
        })
        if (payload.aud !== audience) throw invalid() // a list would also be for others
        const { roleIdsDigest: digest } = payload
        return identityOf(
          payload,
          digest === undefined ? idsOf(payload.roleIds) : await findRoles(token, textOf(digest), roleIds),
        )
      } catch (error) {
        throw error instanceof IdentityError ? error : invalid(error)
      }
    },
  }
}

/** Responds with a problem document (RFC 9457), like the gateway's own refusals. */
function refuse(req: Request, res: Response, { code, message }: IdentityError): void {
  const status = code === 'identity_invalid' ? 401 : 503
  const given = req.headers['x-request-id']
  const requestId =
    typeof given === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? { requestId: given } : {}
  res.writeHead(status, {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Cache-Control': 'no-store',
    ...(status === 401
      ? { 'WWW-Authenticate': 'GatewayIdentity' }
      : { 'Retry-After': String(retryAfterSeconds) }),
  })
  res.end(
    JSON.stringify({
      type: 'about:blank',
      title: STATUS_CODES[status],
      status,
      detail: message,
      code,
      ...requestId,
    }),
  )
}

/**
 * Creates middleware that admits requests with an identity of the gateway for this service, and sets
 * `req.gatewayIdentity`. It responds 401 `identity_invalid` to all others, and 503 `identity_unavailable`
 * while the gateway's keys cannot be fetched. It trusts no other header.
 */
export function verifyGatewayIdentity(options: MiddlewareOptions): RequestHandler {
  const { verify } = createIdentityVerifier(options)
  return (req, res, next) => {
    const token = req.headers['x-gateway-identity']
    if (token === undefined && options.optional === true) {
      next()
      return undefined
    }
    // Node joins a repeated header with a comma, which no token contains.
    const roleIds = req.headers['x-role-ids']
    return verify(
      typeof token === 'string' ? token : '',
      typeof roleIds === 'string' ? roleIds : undefined,
    ).then(
      (identity) => {
        req.gatewayIdentity = identity
        next()
      },
      (error: unknown) => {
        const refusal = error instanceof IdentityError ? error : invalid(error)
        options.onRefusal?.(refusal, req)
        refuse(req, res, refusal)
      },
    )
  }
}
