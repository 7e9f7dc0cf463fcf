import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { SignJWT } from 'jose'
import type { TestDatabase } from './database.js'
import { testSecret } from './gateway.js'

const id = (digits: string) => `00000000-0000-4000-8000-${digits.padStart(12, '0')}`

/** The demo users' ids. */
export const users = {
  root: id('1'),
  petra: id('2'),
  alice: id('3'),
  bob: id('4'),
  carol: id('5'),
  dave: id('6'),
  erin: id('7'),
  frank: id('8'),
  reports: id('9'),
} as const
/** What responses show of alice: to compare with. */
export const aliceAsShown = {
  id: users.alice,
  username: 'alice',
  email: 'alice@example.com',
  fullName: expect.any(String),
  isSysAdmin: false,
  isPlatformAdmin: false,
}
/** The demo mandates' ids. */
export const mandates = { acme: id('101'), globex: id('102'), initech: id('103') } as const
/** The demo instances' ids. */
export const instances = { acmeCrm: id('201'), globexCrm: id('202'), acmeArchive: id('203') } as const
/** The demo roles' ids. */
export const roles = {
  viewer: id('401'),
  acmeAdmin: id('402'),
  crmReader: id('403'),
  crmEditor: id('404'),
} as const

export type DemoUser = keyof typeof users

/** Claims and header of a token, to be bent by a test; a claim of undefined is left out. */
export interface TokenShape {
  claims?: Record<string, unknown>
  header?: Record<string, unknown>
  secret?: string
}

/** The row that goes with a token, to be bent by a test. */
export interface RowShape {
  userId?: string
  authority?: string
  purpose?: string
  status?: string
  expiresAt?: Date
  sessionId?: string | null
}

/** Signs a token as the gateway would, but for what `shape` changes. */
export async function signToken(
  user: DemoUser,
  jti: string,
  sid: string | undefined,
  { claims = {}, header = {}, secret = testSecret }: TokenShape = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const all = {
    sub: user,
    userId: users[user],
    authenticationAuthority: 'local',
    jti,
    sid,
    iat: now,
    exp: now + 900,
    iss: 'mandate-gateway',
    ...claims,
  }
  const present = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  return await new SignJWT(present)
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', ...header })
    .sign(new TextEncoder().encode(secret))
}

/** A session, a token row and the token of `user`, as a login makes them, but for what the shapes change. */
export async function tokenFor(
  database: TestDatabase,
  user: DemoUser,
  shape: TokenShape & { row?: RowShape } = {},
): Promise<{ token: string; jti: string; sid: string }> {
  const [jti, sid] = [randomUUID(), randomUUID()]
  const { row = {} } = shape
  const owner = row.userId ?? users[user]
  await database.sql('insert into sessions (id, user_id, authority) values ($1, $2, $3)', [
    sid,
    owner,
    row.authority ?? 'local',
  ])
  await database.sql(
    `insert into tokens (id, user_id, authority, purpose, session_id, status, expires_at)
      values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      jti,
      owner,
      row.authority ?? 'local',
      row.purpose ?? 'auth_session',
      row.sessionId === undefined ? sid : row.sessionId,
      row.status ?? 'active',
      row.expiresAt ?? new Date(Date.now() + 900_000),
    ],
  )
  return { token: await signToken(user, jti, sid, shape), jti, sid }
}
