import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client'
import { GatewayError } from '../errors.js'

/** The browser brought back something that it did not begin here, or not lately, or has used already. */
export const flowUnknown = () =>
  new GatewayError(
    'sign_in_invalid',
    'This sign-in was not begun in this browser, has expired or is over. Begin again.',
  )

/** The provider did not vouch for anybody, or what it said does not prove anything. */
export const refused = (detail: string) => new GatewayError('sign_in_refused', `${detail}. Begin again.`)

/** What failed, without what came with it: answers of providers hold tokens. */
const causeOf = (error: unknown) =>
  new Error(
    error instanceof Error
      ? `${error.name}${'code' in error ? ` ${String(error.code)}` : ''}: ${error.message}`
      : 'unknown',
  )

/** RFC 6749 §4.1.2.1 allows these characters in an error code; what else comes is not repeated. */
const plain = (code: string) => (/^[\w.-]{1,60}$/.test(code) ? code : 'an error')

const failed = (error: unknown) =>
  new GatewayError(
    'provider_failed',
    'The provider answered in a way that leads nowhere. Sign in another way, or try again later.',
    { cause: causeOf(error) },
  )
const unavailable = (error: unknown) =>
  new GatewayError(
    'provider_unavailable',
    'The provider cannot be reached. Sign in another way, or try again later.',
    { cause: causeOf(error) },
  )

/**
 * Answers of the token endpoint that have no OpenID Connect in them, such as a page that says that it is out
 * of order.
 */
const wrongAnswers = new Set([
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
  'OAUTH_PARSE_ERROR',
  'OAUTH_MISSING_SERVER_METADATA',
  'OAUTH_INVALID_SERVER_METADATA',
  'OAUTH_HTTP_REQUEST_FORBIDDEN',
])

/** No answer came, or not in time: `fetch` says so by these names, and the library wraps them. */
function isSilence(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { name, message, cause } = error as Partial<Error>
  return (
    (name === 'TypeError' && message === 'fetch failed') ||
    name === 'TimeoutError' ||
    name === 'AbortError' ||
    isSilence(cause)
  )
}

/** Returns the error of a provider whose metadata could not be read, or is that of another issuer. */
export const asMetadataError = (error: unknown): GatewayError =>
  isSilence(error) ? unavailable(error) : failed(error)

/** What the library threw, as what the caller should hear of it. */
export function asSignInError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  if (isSilence(error)) return unavailable(error)
  if (error instanceof AuthorizationResponseError)
    return refused(`The provider answered ${plain(error.error)}`)
  if (error instanceof ResponseBodyError)
    return error.error === 'invalid_grant' ? flowUnknown() : failed(error)
  if (error instanceof ClientError) {
    if (error.code === undefined || wrongAnswers.has(error.code)) return failed(error)
    return refused('What the provider said could not be verified')
  }
  return failed(error)
}
