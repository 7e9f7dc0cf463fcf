import { reason } from './domain/reasons.js'
import type { Reason } from './domain/text-values.js'

/** How a refusal or failure is answered. */
interface ErrorKind {
  /** The HTTP status. */
  status: number
  /**
   * The `WWW-Authenticate` header (RFC 6750 §3): `scheme` names the scheme alone, for a caller that sent no
   * token; `token` adds why the token failed.
   */
  challenge?: 'scheme' | 'token'
  /** Seconds after which the caller may try again: the `Retry-After` header. */
  retryAfterSeconds?: number
}

/**
 * Every way this gateway refuses or fails, by the code that callers see. The set is closed; a new code is
 * added here, and a test lists what else must know of it.
 */
export const errorTable = {
  expectation_failed: { status: 417 },
  header_ambiguous: { status: 400 },
  path_ambiguous: { status: 400 },
  request_malformed: { status: 400 },
  headers_too_large: { status: 431 },
  mandate_id_invalid: { status: 400 },
  instance_id_invalid: { status: 400 },
  mandate_required: { status: 400 },
  instance_required: { status: 400 },
  validation_failed: { status: 400 },
  body_invalid: { status: 400 },
  body_too_large: { status: 413 },
  unsupported_media_type: { status: 415 },
  authentication_required: { status: 401, challenge: 'scheme' },
  token_invalid: { status: 401, challenge: 'token' },
  token_expired: { status: 401, challenge: 'token' },
  user_mismatch: { status: 401, challenge: 'token' },
  credentials_invalid: { status: 401, challenge: 'scheme' },
  client_invalid: { status: 401, challenge: 'scheme' },
  refresh_invalid: { status: 401, challenge: 'scheme' },
  second_factor_required: { status: 401, challenge: 'scheme' },
  factor_invalid: { status: 401, challenge: 'scheme' },
  insufficient_user_authentication: { status: 401, challenge: 'scheme' },
  portal_access_required: { status: 401 },
  sign_in_invalid: { status: 400 },
  sign_in_refused: { status: 401, challenge: 'scheme' },
  identity_unknown: { status: 403 },
  provider_failed: { status: 502 },
  provider_unavailable: { status: 503, retryAfterSeconds: 2 },
  user_disabled: { status: 403 },
  membership_disabled: { status: 403 },
  not_a_member: { status: 403 },
  mandate_disabled: { status: 403 },
  no_instance_access: { status: 403 },
  feature_access_disabled: { status: 403 },
  sysadmin_required: { status: 403 },
  platform_admin_required: { status: 403 },
  permission_denied: { status: 403 },
  cross_site_request: { status: 403 },
  address_not_allowed: { status: 403 },
  not_found: { status: 404 },
  mandate_not_found: { status: 404 },
  instance_not_found: { status: 404 },
  method_not_allowed: { status: 405 },
  conflict: { status: 409 },
  invitation_void: { status: 409 },
  factor_required: { status: 409 },
  policy_locks_out: { status: 409 },
  changed_meanwhile: { status: 412 },
  rate_limited: { status: 429 },
  internal_error: { status: 500 },
  upstream_failed: { status: 502 },
  upstream_unavailable: { status: 503, retryAfterSeconds: 2 },
  upstream_timeout: { status: 504 },
  authentication_unavailable: { status: 503, retryAfterSeconds: 2 },
  directory_unavailable: { status: 503, retryAfterSeconds: 2 },
  overloaded: { status: 503, retryAfterSeconds: 2 },
} satisfies Record<string, ErrorKind>

/** The code of a refusal or failure. */
export type ErrorCode = keyof typeof errorTable

/** Returns how a code is answered. */
export const kindOf = (code: ErrorCode): ErrorKind => errorTable[code]

/** Returns the HTTP status of a code. */
export const statusOf = (code: ErrorCode): number => errorTable[code].status

/** One fault of an input: where (a dotted path) and what to do about it. */
export interface Fault {
  path: string
  message: string
  /** The same by code, for clients that translate it. */
  reason?: Pick<Reason, 'code' | 'values'>
}

/** Returns the fault of an input by its reason. */
export const faultAt = (path: string, why: Reason): Fault => ({ path, message: why.text, reason: why })

interface GatewayErrorOptions {
  cause?: unknown
  /** Faults of a `validation_failed`. */
  errors?: Fault[]
  /** Response headers that belong to this refusal, such as `Allow`. */
  headers?: Record<string, string>
  /** Further members of the problem document (RFC 9457 §3.2). */
  members?: Readonly<Record<string, unknown>>
}

/**
 * A refusal or failure with a code of the closed union, and a sentence or a reason for the caller.
 * `detail` is shown to callers and must hold nothing secret; `cause` is logged and never shown.
 */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly detail: string
  /** The detail by code, where it has one. */
  readonly reason: Reason | undefined
  readonly errors: Fault[] | undefined
  readonly headers: Record<string, string> | undefined
  readonly members: Readonly<Record<string, unknown>> | undefined

  constructor(code: ErrorCode, why: string | Reason, options: GatewayErrorOptions = {}) {
    const detail = typeof why === 'string' ? why : why.text
    super(`${code}: ${detail}`, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'GatewayError'
    this.code = code
    this.detail = detail
    this.reason = typeof why === 'string' ? undefined : why
    this.errors = options.errors
    this.headers = options.headers
    this.members = options.members
  }
}

/**
 * Whether an error of Node or of Postgres carries one of these codes. Not by its class: a test runner has
 * classes of its own.
 */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    codes.includes(error.code)
  )
}

/** Returns the `not_found` of an id that does not exist, or that the caller may not know of. */
export const notFound = () => new GatewayError('not_found', reason('nothing_here'))
