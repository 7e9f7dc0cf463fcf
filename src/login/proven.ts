/** How somebody was proved just now, at a login or a step-up. */
export interface Proven {
  /** The methods (RFC 8176). */
  amr: readonly string[]
  /** Whether it is a sign-in of its own: by password, provider or passkey. */
  authTime: boolean
  /** Whether it is a second factor. */
  mfa: boolean
  /** Whether it is resistant to phishing. */
  phr: boolean
  /** When, where somebody else proved it earlier; undefined for now. */
  at?: Date | undefined
}

/** The proof of a password. */
export const byPassword: Proven = { amr: ['pwd'], authTime: true, mfa: false, phr: false }
/** The proof of another authority that is not trusted to say how it proved. */
export const byProvider: Proven = { amr: [], authTime: true, mfa: false, phr: false }
/** The proof of a code of an authenticator app, or of a recovery code. */
export const byCode: Proven = { amr: ['otp', 'mfa'], authTime: false, mfa: true, phr: false }
/** The proof of a passkey, whose key is in hardware or can be copied between devices. */
export const byPasskey = (device: 'hwk' | 'swk'): Proven => ({
  amr: [device, 'mfa'],
  authTime: true,
  mfa: true,
  phr: true,
})

/** Returns one proof made of two. */
export const both = (one: Proven, other: Proven): Proven => ({
  amr: [...new Set([...one.amr, ...other.amr])],
  authTime: one.authTime || other.authTime,
  mfa: one.mfa || other.mfa,
  phr: one.phr || other.phr,
})
