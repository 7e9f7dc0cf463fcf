import { preparePassword } from '../authentication/precis.js'
import { GatewayError } from '../errors.js'

const leastCharacters = 12
const mostBytes = 1024

/**
 * What is wrong with a password that somebody wants to have; undefined where nothing is (after NIST SP
 * 800-63B: length, not composition).
 */
export function passwordFault(password: string, username: string): string | undefined {
  if (Array.from(password).length < leastCharacters) return `must have at least ${leastCharacters} characters`
  if (Buffer.byteLength(password) > mostBytes) return `must have at most ${mostBytes} bytes`
  if (preparePassword(password) === undefined)
    return 'must not hold control, ignorable or unassigned characters (RFC 8265, OpaqueString)'
  if (password.toLowerCase() === username.toLowerCase()) return 'must not be the username'
  return undefined
}

/** Throws `validation_failed`, at `path`, for a password that nobody may have. */
export function checkNewPassword(password: string, username: string, path = 'password'): void {
  const fault = passwordFault(password, username)
  if (fault !== undefined)
    throw new GatewayError('validation_failed', 'The password is not good enough', {
      errors: [{ path, message: fault }],
    })
}
