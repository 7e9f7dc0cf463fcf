import { describe, expect, it } from '@jest/globals'
import { decidePrincipal } from '../../src/authentication/principal.js'
import type { VerifiedClaims } from '../../src/authentication/verify-token.js'
import type { Login, PrincipalState, TokenState } from '../../src/coherence/directory.js'

const nowMs = 1_800_000_000_000
const [user, session, jti] = [
  '00000000-0000-4000-8000-000000000001',
  '00000000-0000-4000-8000-000000000002',
  '00000000-0000-4000-8000-000000000003',
]

const claims: VerifiedClaims = {
  username: 'alice',
  names: ['alice'],
  userId: user,
  jti,
  authority: 'local',
  sessionId: session,
  expiresAt: nowMs / 1000 + 60,
  kid: 'k',
}
const state: PrincipalState & { user: object; token: TokenState } = {
  user: {
    id: user,
    username: 'alice',
    email: null,
    fullName: null,
    isSysAdmin: false,
    isPlatformAdmin: false,
    isServiceAccount: false,
    enabled: true,
  },
  token: {
    userId: user,
    authority: 'local',
    purpose: 'auth_session',
    status: 'active',
    sessionId: session,
    sessionEnded: false,
    expiresAtMs: nowMs + 30_000,
    issuedAtMs: nowMs - 30_000,
  },
  session: undefined,
  keyRetired: false,
}

/** What is decided of the claims and rows, as they are bent. */
function decide(
  bent: {
    claims?: Partial<VerifiedClaims>
    token?: Partial<TokenState>
    state?: Partial<PrincipalState>
  } = {},
): string {
  const login: Login<VerifiedClaims> = {
    claims: { ...claims, ...bent.claims },
    state: { ...state, token: { ...state.token, ...bent.token }, ...bent.state },
    dependsOn: [],
  }
  try {
    return decidePrincipal(login, nowMs).user.id
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('a token whose signature and times hold is decided by its rows', () => {
  it('expires with its own claim or its row, the earlier of both', () => {
    const login = { claims, state, dependsOn: ['a'] }
    expect(decidePrincipal(login, nowMs)).toMatchObject({
      expiresAtMs: nowMs + 30_000,
      tokenId: jti,
      sessionId: session,
      authority: 'local',
      purpose: 'auth_session',
      dependsOn: ['a'],
    })
    expect(
      decidePrincipal({ ...login, claims: { ...claims, expiresAt: nowMs / 1000 + 10 } }, nowMs).expiresAtMs,
    ).toBe(nowMs + 10_000)
    expect(decidePrincipal(login, nowMs).user).not.toHaveProperty('enabled')
  })

  it.each<[string, Parameters<typeof decide>[0], string]>([
    ['as it is', {}, user],
    ['of a key that was retired', { state: { keyRetired: true } }, 'token_invalid'],
    ['of a name that is nobody’s', { state: { user: undefined } }, 'token_invalid'],
    ['of somebody who is disabled', { state: { user: { ...state.user, enabled: false } } }, 'user_disabled'],
    [
      'of somebody who is disabled, with no row',
      { state: { user: { ...state.user, enabled: false }, token: undefined } },
      'user_disabled',
    ],
    ['of somebody else who has the name now', { claims: { userId: session } }, 'user_mismatch'],
    ['without a row', { state: { token: undefined } }, 'token_invalid'],
    ['that was revoked', { token: { status: 'revoked' } }, 'token_invalid'],
    ['whose row ends this very moment', { token: { expiresAtMs: nowMs } }, 'token_invalid'],
    ['whose row ends in the next', { token: { expiresAtMs: nowMs + 1 } }, user],
    ['whose row is another’s', { token: { userId: session } }, 'token_invalid'],
    ['of another authority than its row’s', { claims: { authority: 'google' } }, 'token_invalid'],
    ['of the row’s authority in capitals', { claims: { authority: 'LOCAL' } }, user],
    ['of an authority that is no text', { claims: { authority: ['local'] } }, 'token_invalid'],
    ['of no authority', { claims: { authority: undefined } }, 'token_invalid'],
    [
      'of an authority that nobody knows, though its row agrees',
      { claims: { authority: 'other' }, token: { authority: 'other' } },
      'token_invalid',
    ],
    ['of Google', { claims: { authority: 'google' }, token: { authority: 'google' } }, user],
    ['of Microsoft', { claims: { authority: 'msft' }, token: { authority: 'msft' } }, user],
    ['of another purpose', { token: { purpose: 'refresh' } }, 'token_invalid'],
    [
      'of a program',
      { token: { purpose: 'api_token', sessionId: null }, claims: { sessionId: undefined } },
      user,
    ],
    [
      'of a program, by Google',
      {
        token: { purpose: 'api_token', authority: 'google', sessionId: null },
        claims: { sessionId: undefined, authority: 'google' },
      },
      'token_invalid',
    ],
    ['of another session', { claims: { sessionId: jti } }, 'token_invalid'],
    ['of no session, whose row has one', { claims: { sessionId: undefined } }, 'token_invalid'],
    ['of a session, whose row has none', { token: { sessionId: null } }, 'token_invalid'],
    ['of a session that has ended', { token: { sessionEnded: true } }, 'token_invalid'],
  ])('%s', (_name, bent, expected) => {
    expect(decide(bent)).toBe(expected)
  })
})
