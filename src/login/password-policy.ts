import { type Reason } from '../domain/text-values.js'
import { reason } from '../domain/reasons.js'
import { preparePassword } from '../authentication/precis.js'
import { GatewayError, faultAt } from '../errors.js'

const leastCharacters = 12
const mostBytes = 1024

/**
 * What is wrong with a password that somebody wants to have; undefined where nothing is (after NIST SP
 * 800-63B: length, not composition).
 */
export function passwordFault(password: string, username: string): Reason | undefined {
  if (Array.from(password).length < leastCharacters) return reason('too_short', { min: leastCharacters })
  if (Buffer.byteLength(password) > mostBytes) return reason('too_many_bytes', { max: mostBytes })
  if (preparePassword(password) === undefined) return reason('opaque_string')
  if (password.toLowerCase() === username.toLowerCase()) return reason('equals_username')
  return undefined
}

/** Throws `validation_failed`, at `path`, for a password that nobody may have. */
export function checkNewPassword(password: string, username: string, path = 'password'): void {
  const fault = passwordFault(password, username)
  if (fault !== undefined)
    throw new GatewayError('validation_failed', reason('password_weak'), {
      errors: [faultAt(path, fault)],
    })
}
