import { createHmac, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { tokenFor, users, type RowShape } from '../support/demo.js'
import { startTestGateway, testSecret, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'

type Claims = Record<string, unknown>
const now = () => Math.floor(Date.now() / 1000)

/** Signs exactly these bytes with the shared secret, as a lenient library might. */
function sign(header: Claims, claims: Claims, secret = testSecret): string {
  const [head = '', body = ''] = [header, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  return `${head}.${body}.${createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url')}`
}

interface Case {
  /** The first cell of the record's row. */
  place: string
  /**
   * What the older system answered: a FastAPI service with python-jose or PyJWT, that looked its rows up by
   * `jti`.
   */
  there: 'in' | 'refused'
  /** `in`, or the code of the refusal. */
  here: string
  claims?: (claims: Claims) => Claims
  header?: Claims
  row?: RowShape
  /** What is sent in place of `Bearer`. */
  scheme?: string
  wrap?: (token: string) => string
}

const without =
  (...names: string[]) =>
  (claims: Claims) =>
    Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)))
const withClaims =
  (more: Claims) =>
  (claims: Claims): Claims => ({ ...claims, ...more })

/** Each difference that decisions/0005 names of tokens, signed and sent; `place` is its row there. */
const cases: Case[] = [
  { place: 'no `exp`', there: 'in', here: 'token_invalid', claims: without('exp') },
  {
    place: '`exp` or another time as text',
    there: 'in',
    here: 'token_invalid',
    claims: (claims) => ({ ...claims, exp: String(claims.exp) }),
  },
  {
    place: '400 days and longer',
    there: 'in',
    here: 'token_invalid',
    claims: withClaims({ exp: now() + 401 * 86_400 }),
  },
  {
    place: 'foreign `iss`',
    there: 'in',
    here: 'token_invalid',
    claims: withClaims({ iss: 'another-system' }),
  },
  { place: 'no `iss`', there: 'in', here: 'in', claims: without('iss') },
  {
    place: '`iat` in the future',
    there: 'in',
    here: 'token_invalid',
    claims: withClaims({ iat: now() + 60 }),
  },
  {
    place: '`nbf` in the future',
    there: 'refused',
    here: 'token_invalid',
    claims: withClaims({ nbf: now() + 60 }),
  },
  {
    place: '`aud` that nobody asked for',
    there: 'refused',
    here: 'in',
    claims: withClaims({ aud: 'another-service' }),
  },
  { place: '`bearer` in lower case', there: 'refused', here: 'in', scheme: 'bearer' },
  {
    place: '`jti` that is no UUID',
    there: 'in',
    here: 'token_invalid',
    claims: withClaims({ jti: 'token-17' }),
  },
  {
    place: '`jti` in capitals',
    there: 'refused',
    here: 'in',
    claims: (claims) => ({ ...claims, jti: String(claims.jti).toUpperCase() }),
  },
  {
    place: '`userId` in capitals',
    there: 'in',
    here: 'user_mismatch',
    claims: withClaims({ userId: 'ABCDEF00-0000-4000-8000-00000000ABCD' }),
  },
  { place: '`sub` in other letter case', there: 'refused', here: 'in', claims: withClaims({ sub: 'ALICE' }) },
  {
    place: '`authenticationAuthority` missing',
    there: 'in',
    here: 'token_invalid',
    claims: without('authenticationAuthority'),
  },
  {
    place: '`authenticationAuthority` unknown',
    there: 'in',
    here: 'token_invalid',
    claims: withClaims({ authenticationAuthority: 'ldap' }),
  },
  {
    place: '`authenticationAuthority` in capitals',
    there: 'refused',
    here: 'in',
    claims: withClaims({ authenticationAuthority: 'LOCAL' }),
  },
  {
    place: 'authority of the row and of the claim differ',
    there: 'in',
    here: 'token_invalid',
    claims: withClaims({ authenticationAuthority: 'google' }),
  },
  {
    place: '`sid` null, and a row without session',
    there: 'in',
    here: 'in',
    claims: withClaims({ sid: null }),
    row: { sessionId: null },
  },
  {
    place: '`sid` empty, and a row without session',
    there: 'in',
    here: 'in',
    claims: withClaims({ sid: '' }),
    row: { sessionId: null },
  },
  {
    place: '`sid` null, and `sessionId`',
    there: 'in',
    here: 'in',
    claims: (claims) => ({ ...claims, sid: null, sessionId: claims.sid }),
  },
  {
    place: '`sid` null in both, and a row with a session',
    there: 'in',
    here: 'token_invalid',
    claims: withClaims({ sid: null, sessionId: null }),
  },
  {
    place: 'a row without session, a token with one',
    there: 'in',
    here: 'token_invalid',
    row: { sessionId: null },
  },
  {
    place: 'purpose `data_connection`',
    there: 'in',
    here: 'token_invalid',
    row: { purpose: 'data_connection' },
  },
  { place: 'unknown `typ`', there: 'in', here: 'token_invalid', header: { typ: 'refresh' } },
  {
    place: '`crit` that is not understood',
    there: 'in',
    here: 'token_invalid',
    header: { crit: ['x'], x: 1 },
  },
  { place: 'padding of base64url', there: 'in', here: 'token_invalid', wrap: (token) => `${token}=` },
]

describe('tokens of an older system, against decisions/0005', () => {
  let gateway: TestGateway
  let record: string
  beforeAll(async () => {
    gateway = await startTestGateway()
    record = await readFile(
      path.resolve(import.meta.dirname, '../../docs/decisions/0005-stricter-than-before.md'),
      'utf8',
    )
  })
  afterAll(() => gateway.stop())

  it.each(cases)(
    '$place: $there there, $here here',
    async ({
      claims = (same) => same,
      header = {},
      row,
      scheme = 'Bearer',
      wrap = (token) => token,
      here,
    }) => {
      const { jti, sid } = await tokenFor(gateway.database, 'alice', row ? { row } : {})
      const plain = {
        sub: 'alice',
        userId: users.alice,
        authenticationAuthority: 'local',
        jti,
        sid,
        iat: now(),
        exp: now() + 900,
        iss: 'mandate-gateway',
      }
      const token = wrap(sign({ alg: 'HS256', typ: 'JWT', ...header }, claims(plain)))
      const answer = await sendLines(gateway.url, 'GET /auth/me', [`Authorization: ${scheme} ${token}`])
      expect(answer.status === 200 ? 'in' : codeOf(answer)).toBe(here)
    },
  )

  it('each is a row of the record, which names those that are accepted here and were refused there', () => {
    const rows = record.split('\n').filter((line) => line.startsWith('| '))
    for (const { place, there, here } of cases.filter(
      (one) => (one.there === 'in') !== (one.here === 'in'),
    )) {
      const row = rows.find((line) => line.startsWith(`| ${place} |`))
      expect([place, row?.includes(here === 'in' ? '| let in |' : here)]).toEqual([place, true])
      if (there === 'refused') expect([place, row?.includes('| refused |')]).toEqual([place, true])
    }
    expect(record).not.toContain('nothing that was refused before is let in')
  })

  it('a token under another secret is refused in both', async () => {
    const { jti, sid } = await tokenFor(gateway.database, 'alice')
    const token = sign(
      { alg: 'HS256' },
      { sub: 'alice', userId: users.alice, authenticationAuthority: 'local', jti, sid, exp: now() + 900 },
      randomUUID(),
    )
    expect(codeOf(await sendLines(gateway.url, 'GET /auth/me', [`Authorization: Bearer ${token}`]))).toBe(
      'token_invalid',
    )
  })
})
