/**
 * Every way this gateway refuses or fails, by the code that callers see. Closed: a new one must be given a
 * status in `http/problem.ts`.
 */
export type ErrorCode =
  | 'expectation_failed'
  | 'header_ambiguous'
  | 'path_ambiguous'
  | 'request_malformed'
  | 'headers_too_large'
  | 'mandate_id_invalid'
  | 'instance_id_invalid'
  | 'mandate_required'
  | 'instance_required'
  | 'validation_failed'
  | 'body_invalid'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'authentication_required'
  | 'token_invalid'
  | 'token_expired'
  | 'user_mismatch'
  | 'credentials_invalid'
  | 'client_invalid'
  | 'refresh_invalid'
  | 'portal_access_required'
  | 'sign_in_invalid'
  | 'sign_in_refused'
  | 'identity_unknown'
  | 'provider_failed'
  | 'provider_unavailable'
  | 'user_disabled'
  | 'membership_disabled'
  | 'not_a_member'
  | 'mandate_disabled'
  | 'no_instance_access'
  | 'feature_access_disabled'
  | 'sysadmin_required'
  | 'platform_admin_required'
  | 'permission_denied'
  | 'cross_site_request'
  | 'address_not_allowed'
  | 'not_found'
  | 'mandate_not_found'
  | 'instance_not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'changed_meanwhile'
  | 'rate_limited'
  | 'internal_error'
  | 'upstream_failed'
  | 'upstream_unavailable'
  | 'upstream_timeout'
  | 'authentication_unavailable'
  | 'directory_unavailable'
  | 'overloaded'

/** One fault of an input: where (a dotted path) and what to do about it. */
export interface Fault {
  path: string
  message: string
}

interface GatewayErrorOptions {
  cause?: unknown
  /** Faults of a `validation_failed`. */
  errors?: Fault[]
  /** Response headers that belong to this refusal, such as `Allow`. */
  headers?: Record<string, string>
}

/**
 * A refusal or failure with a code of the closed union and a sentence for the caller.
 * `detail` is shown to callers and must hold nothing secret; `cause` is logged and never shown.
 */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly detail: string
  readonly errors: Fault[] | undefined
  readonly headers: Record<string, string> | undefined

  constructor(code: ErrorCode, detail: string, options: GatewayErrorOptions = {}) {
    super(`${code}: ${detail}`, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'GatewayError'
    this.code = code
    this.detail = detail
    this.errors = options.errors
    this.headers = options.headers
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
