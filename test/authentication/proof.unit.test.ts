import { describe, expect, it } from '@jest/globals'
import { latestProofMs, proofOf } from '../../src/authentication/proof.js'
import { insufficientAssurance } from '../../src/authorization/assurance-error.js'

const issuedAtMs = 1_800_000_000_000
const nowMs = issuedAtMs + 60_000
const session = {
  createdAtMs: issuedAtMs - 1000,
  lastUsedAtMs: null,
  authTimeMs: issuedAtMs - 1000,
  mfaAtMs: null,
  phrAtMs: null,
  amr: ['pwd'],
}

describe('what a proof counts for', () => {
  it('a proof counts for tokens that were issued at or after it, and for none before', () => {
    const proved = (mfaAtMs: number) => proofOf({ issuedAtMs, session: { ...session, mfaAtMs } }, nowMs)
    expect(proved(issuedAtMs)).toMatchObject({ acr: 'mfa', mfaAtMs: issuedAtMs })
    expect(proved(issuedAtMs - 1)).toMatchObject({ acr: 'mfa' })
    expect(proved(issuedAtMs + 0.001)).toMatchObject({ acr: '1fa', mfaAtMs: null })
  })

  it('a passkey counts as a second factor, too', () => {
    const proof = proofOf({ issuedAtMs, session: { ...session, phrAtMs: issuedAtMs - 5 } }, nowMs)
    expect(proof).toMatchObject({ acr: 'phr', phrAtMs: issuedAtMs - 5, mfaAtMs: issuedAtMs - 5 })
    expect(latestProofMs(proof)).toBe(issuedAtMs - 5)
  })

  it('a time of more than 5 s in the future does not count', () => {
    const at = (authTimeMs: number) =>
      proofOf({ issuedAtMs: nowMs + 60_000, session: { ...session, authTimeMs } }, nowMs).authTimeMs
    expect(at(nowMs + 5000)).toBe(nowMs + 5000)
    expect(at(nowMs + 5001)).toBeNull()
  })

  it('a token without a session was proved by one factor, when it was issued', () => {
    expect(proofOf({ issuedAtMs, session: undefined }, nowMs)).toEqual({
      acr: '1fa',
      amr: [],
      authTimeMs: issuedAtMs,
      mfaAtMs: null,
      phrAtMs: null,
    })
  })
})

describe('the refusal of a proof that does not do', () => {
  it('tells programs and people what to do (RFC 9470)', () => {
    const { headers, members } = insufficientAssurance({
      missing: 'factor',
      scope: 'mandate',
      factor: 'mfa',
      maxAge: 600,
    })
    expect(headers?.['WWW-Authenticate']).toMatch(
      /^Bearer realm="mandate-gateway", error="insufficient_user_authentication", error_description="[^"]+", acr_values="mfa phr", max_age="600"$/,
    )
    expect(members).toEqual({
      missing: 'factor',
      scope: 'mandate',
      acrValues: 'mfa phr',
      maxAge: 600,
      stepUp: '/auth/step-up?acr_values=mfa+phr&max_age=600',
    })
  })

  it('asks for a passkey where only that will do, and for no factor where any proof will do', () => {
    expect(
      insufficientAssurance({ missing: 'age', scope: 'route', factor: 'phr', maxAge: null }).members,
    ).toMatchObject({ acrValues: 'phr', maxAge: null })
    const refusal = insufficientAssurance({ missing: 'session', scope: 'admin', factor: null, maxAge: null })
    expect(refusal.headers?.['WWW-Authenticate']).not.toContain('acr_values')
    expect(refusal.members).toMatchObject({ acrValues: null, stepUp: '/auth/step-up?missing=session' })
  })
})
