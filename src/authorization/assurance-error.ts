import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'

/** What asks for a better proof: a mandate's policy, an item's, a route's, an area's, or one's own account. */
export type AssuranceScope = 'mandate' | 'item' | 'route' | 'admin' | 'system' | 'account'

/** What a session lacks: it is too old, it was not used, no factor proved it, or the proof is too old. */
export type MissingAssurance = 'session' | 'idle' | 'factor' | 'age'

/** A demand that a session does not meet. */
export interface InsufficientAssurance {
  missing: MissingAssurance
  scope: AssuranceScope
  /** The factor that is asked; null where any proof will do. */
  factor: 'mfa' | 'phr' | null
  /** Greatest age of the proof in seconds; null where it does not matter. */
  maxAge: number | null
}

/** The classes of authentication that will do, the least first (RFC 9470 §3, OpenID Connect `acr`). */
const acrValuesOf = { mfa: 'mfa phr', phr: 'phr' } as const

const reasonOf = {
  session: 'assurance_session',
  idle: 'assurance_idle',
  factor: 'assurance_factor',
  age: 'assurance_age',
} as const

/** Returns the path of the page on which somebody proves again that it is them. */
export function stepUpPath({ missing, factor, maxAge }: InsufficientAssurance, next?: string): string {
  const query = new URLSearchParams({
    ...(factor === null ? {} : { acr_values: acrValuesOf[factor] }),
    ...(maxAge === null ? {} : { max_age: String(maxAge) }),
    ...(missing === 'session' ? { missing } : {}),
    ...(next === undefined ? {} : { next }),
  })
  return `/auth/step-up?${query.toString()}`
}

/**
 * Returns the refusal of a session whose proof is too weak or too old: 401 with the challenge of RFC 9470 §3,
 * which tells programs what to ask for, and the path of the page where a person proves again.
 */
export function insufficientAssurance(demand: InsufficientAssurance): GatewayError {
  const { missing, scope, factor, maxAge } = demand
  const why = reason(reasonOf[missing])
  const acrValues = factor === null ? null : acrValuesOf[factor]
  const challenge = [
    'Bearer realm="mandate-gateway"',
    'error="insufficient_user_authentication"',
    `error_description="${why.text}"`,
    ...(acrValues === null ? [] : [`acr_values="${acrValues}"`]),
    ...(maxAge === null ? [] : [`max_age="${maxAge}"`]),
  ].join(', ')
  return new GatewayError('insufficient_user_authentication', why, {
    headers: { 'WWW-Authenticate': challenge },
    members: { missing, scope, acrValues, maxAge, stepUp: stepUpPath(demand) },
  })
}
