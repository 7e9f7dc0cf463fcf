import { Secret, TOTP } from 'otpauth'

const issuer = 'Mandate Gateway'
/** What authenticator apps know by default (RFC 6238): SHA-1, 6 digits, 30 s. */
const parameters = { algorithm: 'SHA1', digits: 6, period: 30 } as const
/** A clock may be off by so many steps, either way. */
const window = 1
const secretBytes = 20 // RFC 4226 §4: as long as the hash

/** Returns a new secret of 160 bits in base32. */
export const makeTotpSecret = (): string => new Secret({ size: secretBytes }).base32

/** Returns the URI that an authenticator app reads from a QR code (Key Uri Format). */
export const totpUri = (secret: string, username: string): string =>
  new TOTP({ ...parameters, issuer, label: username, secret }).toString()

const digitsOf = (typed: string) => typed.replace(/\s/g, '')

/** Returns whether a text has the form of a code. */
export const isTotpCode = (typed: string): boolean => /^\d{6}$/.test(digitsOf(typed))

/**
 * Returns the step of time (30 s since 1970) of which a code is, at most one away from now; undefined for a
 * wrong code. The comparison takes the same time for all codes.
 */
export function stepOfCode(typed: string, secret: string, nowMs: number): number | undefined {
  if (!isTotpCode(typed)) return undefined
  const delta = TOTP.validate({
    ...parameters,
    token: digitsOf(typed),
    secret: Secret.fromBase32(secret),
    timestamp: nowMs,
    window,
  })
  return delta === null ? undefined : TOTP.counter({ period: parameters.period, timestamp: nowMs }) + delta
}
