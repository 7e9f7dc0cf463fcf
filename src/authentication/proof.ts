import type { SessionState } from '../coherence/directory.js'

/** How strong a proof is: by a passkey (phishing-resistant), by a second factor, or by one factor. */
export type Acr = 'phr' | 'mfa' | '1fa'

/** How and when the person behind a token was proved, as far as it counts for that token. */
export interface CountingProof {
  acr: Acr
  /** Methods by which the session was proved (RFC 8176). */
  amr: readonly string[]
  /** Milliseconds since 1970; null where the person was not proved so. */
  authTimeMs: number | null
  /** A passkey counts as a second factor, too. */
  mfaAtMs: number | null
  phrAtMs: number | null
}

/** The clocks of database and node may differ by so much. */
const leewayMs = 5000

const laterOf = (one: number | null, other: number | null) =>
  one === null || other === null ? (one ?? other) : Math.max(one, other)

/**
 * Returns what counts for a token: proofs of its session that it was issued at or after, and that are not over
 * 5 s in the future. A token without a session was proved once, when it was issued.
 */
export function proofOf(
  { issuedAtMs, session }: { issuedAtMs: number; session: SessionState | undefined },
  nowMs: number,
): CountingProof {
  const counting = (atMs: number | null) =>
    atMs !== null && atMs <= issuedAtMs && atMs <= nowMs + leewayMs ? atMs : null
  if (!session) return { acr: '1fa', amr: [], authTimeMs: counting(issuedAtMs), mfaAtMs: null, phrAtMs: null }
  const phrAtMs = counting(session.phrAtMs)
  const mfaAtMs = laterOf(counting(session.mfaAtMs), phrAtMs)
  const acr = phrAtMs !== null ? 'phr' : mfaAtMs !== null ? 'mfa' : '1fa'
  return { acr, amr: session.amr, authTimeMs: counting(session.authTimeMs), mfaAtMs, phrAtMs }
}

/** Returns when the person was proved last, by whatever; null where no proof counts. */
export const latestProofMs = ({ authTimeMs, mfaAtMs }: CountingProof): number | null =>
  laterOf(authTimeMs, mfaAtMs)
