import { reason } from '../domain/reasons.js'
import { faultAt, GatewayError } from '../errors.js'

/**
 * Returns the SQLSTATE of a database's error, or the code of the network's; undefined where there is none.
 */
export const sqlState = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined

/** Returns the error of a database that cannot be asked: 503. */
export const unavailable = (cause: unknown) =>
  new GatewayError('directory_unavailable', 'The directory is temporarily unavailable. Try again shortly.', {
    cause,
  })

/**
 * Returns the GatewayError of a database's error. Only a refusal of the values themselves is the caller's
 * fault. Everything else is 503, never 401 and never 500.
 */
export function asDirectoryError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  const state = sqlState(error)
  if (state === '23505' || state === '23503')
    return new GatewayError('conflict', reason('already_stored'), { cause: error })
  if (state?.startsWith('22')) {
    return new GatewayError('validation_failed', 'A value cannot be stored as it is', {
      cause: error,
      errors: [faultAt('', reason('unstorable'))],
    })
  }
  return unavailable(error)
}
