import { z } from 'zod'
import { dayMs } from '../domain/time.js'
import { recordChange } from '../audit/record-change.js'
import { decidePrincipal } from '../authentication/principal.js'
import { loadTokenKeys } from '../authentication/token-keys.js'
import { verifyTokenOfAnyAge, type VerifiedClaims } from '../authentication/verify-token.js'
import { findPrincipal } from '../coherence/directory-queries.js'
import { findUsername } from '../directory/user-queries.js'
import { GatewayError } from '../errors.js'
import { exitCodes } from '../domain/exit-codes.js'
import { findLiveRefreshToken } from '../oauth/introspection-queries.js'
import { refreshTokenHash } from '../login/refresh-token.js'
import { findServiceAccount, lockServiceAccount } from '../oauth/service-credential-queries.js'
import { makeApiToken } from '../oauth/service-tokens.js'
import type { CommandResult } from './routes-command.js'
import { findToken, revokeEverything } from '../system/token-queries.js'
import { endToken } from '../system/tokens.js'
import { asOperator, heard, type Operator } from './as-operator.js'
import { readSecret } from './read-secret.js'
import { said } from './command-result.js'

/**
 * `token issue`: a long-lived token of a service account. It is printed alone, so that a shell can take it.
 */
export async function issueToken(
  name: string,
  { label, days, json }: { label: string; days: number; json: boolean },
): Promise<CommandResult> {
  return await asOperator(async ({ config, database, commitAndAwaitNodes, actor }) => {
    const keys = await loadTokenKeys(config)
    const found = await findServiceAccount(database, name)
    if (!found)
      throw new GatewayError(
        'not_found',
        `There is no service account ${name}. People sign in; mandate-gateway user create NAME --service-account makes an account for a program.`,
      )
    const expiresAt = new Date(Math.floor((Date.now() + days * dayMs) / 1000) * 1000)
    const { result, coherence } = await commitAndAwaitNodes(async (tx) => {
      const account = await lockServiceAccount(tx, found.id)
      if (account?.enabled !== true)
        throw new GatewayError('conflict', `${found.username} is disabled: no token of it would count`)
      const made = await makeApiToken(tx, keys, { user: account, label, expiresAt })
      await recordChange(tx, {
        actor,
        mandateId: 'system',
        action: 'service_token_made',
        subject: `user:${account.id}`,
        after: { id: made.id, label, expiresAt },
      })
      return made
    })
    const outcome = said(
      exitCodes.ok,
      json,
      { id: result.id, account: found.username, label, expiresAt, token: result.token, coherence },
      [result.token],
    )
    return {
      ...outcome,
      stderr: json
        ? ''
        : `Token ${result.id} of ${found.username} counts until ${expiresAt.toISOString()}; it is shown this once.\n`,
    }
  })
}

/** The token that standard input holds, as far as it was signed here. Throws `token_invalid`. */
async function verifiedOf(token: string, config: Operator['config']): Promise<VerifiedClaims> {
  return await verifyTokenOfAnyAge(token, await loadTokenKeys(config))
}

/** `token revoke`: by its id, or the token itself from standard input. */
export async function revokeOne(named: string | undefined, json: boolean): Promise<CommandResult> {
  return await asOperator(async ({ config, commitAndAwaitNodes, actor }) => {
    const id = named ?? (await verifiedOf(await readSecret('Token'), config)).jti
    const { result: userId, coherence } = await commitAndAwaitNodes(async (tx) => {
      const owner = await endToken(tx, id, actor)
      if (owner === undefined) throw new GatewayError('not_found', `There is no token ${id}`)
      return owner
    })
    return said(exitCodes.ok, json, { id, userId, coherence }, [
      `Token ${id} counts no more.`,
      heard(coherence),
    ])
  })
}

/**
 * `token revoke --all`: everybody signs in again. For a database that was restored: what has been revoked
 * since counts in it.
 */
export async function revokeAll(json: boolean): Promise<CommandResult> {
  return await asOperator(async ({ commitAndAwaitNodes, actor }) => {
    const { result: ended, coherence } = await commitAndAwaitNodes(async (tx) => {
      const counts = await revokeEverything(tx)
      await recordChange(tx, {
        actor,
        mandateId: 'system',
        action: 'everything_revoked',
        subject: 'tokens',
        before: counts,
      })
      return counts
    })
    return said(exitCodes.ok, json, { ...ended, coherence }, [
      `${ended.sessions} sessions have ended and ${ended.tokens} tokens count no more; ${ended.links} links to a first password are void.`,
      heard(coherence),
    ])
  })
}

const shownClaims = [
  'sub',
  'userId',
  'authenticationAuthority',
  'jti',
  'sid',
  'sessionId',
  'iss',
  'iat',
  'nbf',
  'exp',
] as const
const json = z.record(z.string(), z.unknown())

/**
 * What a token says of itself, whoever made it: some claims of its header and payload, nothing of its
 * signature.
 */
function claimsOf(token: string): Record<string, unknown> {
  const [header, claims] = token
    .split('.')
    .slice(0, 2)
    .map((segment) => {
      try {
        return json.parse(JSON.parse(Buffer.from(segment, 'base64url').toString('utf8')))
      } catch {
        return {}
      }
    })
  const times = new Set(['iat', 'nbf', 'exp'])
  const shown = (name: string, value: unknown) =>
    times.has(name) && typeof value === 'number' && Math.abs(value) < 8e12
      ? new Date(value * 1000).toISOString()
      : value
  return {
    ...Object.fromEntries(
      ['alg', 'kid', 'typ']
        .filter((name) => header?.[name] !== undefined)
        .map((name) => [name, header?.[name]]),
    ),
    ...Object.fromEntries(
      shownClaims
        .filter((name) => claims?.[name] !== undefined)
        .map((name) => [name, shown(name, claims?.[name])]),
    ),
  }
}

interface Inspection {
  kind: 'access_token' | 'refresh_token' | 'row'
  counts: boolean
  /** Why it does not: what callers are told. */
  reason: string | null
  /** And what they are not: the row of the authentication table that refuses it. */
  why?: string
  claims?: Record<string, unknown>
  row?: object | null
}

/** Row 5 for a user who is there: the token was made for another spelling of the name. */
async function otherSpelling(
  database: Operator['database'],
  { username, userId }: VerifiedClaims,
): Promise<string | undefined> {
  if (!z.uuid().safeParse(userId).success) return undefined
  const found = await findUsername(database, userId)
  return found === undefined
    ? undefined
    : `row 5: the username is written otherwise: the token says ${username.slice(0, 80)}, the user is called ${found}`
}

/** The same decision as for a request, made of what the database says now. */
export async function inspectAccessToken(
  token: string,
  { config, database }: Pick<Operator, 'config' | 'database'>,
): Promise<Inspection> {
  const claims = claimsOf(token)
  try {
    const verified = await verifiedOf(token, config)
    const state = await findPrincipal(database, {
      names: verified.names,
      jti: verified.jti,
      kid: verified.kid,
    })
    const row = (await findToken(database, verified.jti)) ?? null
    const answer = { kind: 'access_token', claims, row } as const
    if (verified.expiresAt <= Date.now() / 1000) return { ...answer, counts: false, reason: 'token_expired' }
    try {
      decidePrincipal({ claims: verified, state, dependsOn: [] }, Date.now())
      return { ...answer, counts: true, reason: null }
    } catch (error) {
      if (error instanceof GatewayError) {
        const why = state.user ? error.cause : ((await otherSpelling(database, verified)) ?? error.cause)
        return { ...answer, counts: false, reason: error.code, ...(typeof why === 'string' ? { why } : {}) }
      }
      throw error
    }
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'token_invalid')
      return {
        kind: 'access_token',
        counts: false,
        reason: 'not signed by a key of this gateway, or malformed',
        claims,
        row: null,
      }
    throw error
  }
}

async function inspectRow(id: string, { database }: Operator): Promise<Inspection> {
  const row = await findToken(database, id)
  if (!row) return { kind: 'row', counts: false, reason: 'there is no row', row: null }
  const reasons = [
    row.status === 'active' ? undefined : 'revoked',
    row.expired ? 'expired' : undefined,
    row.sessionEnded ? 'its session has ended' : undefined,
    row.userEnabled ? undefined : 'its user is disabled',
    row.purpose === 'data_connection' ? 'it is no login' : undefined,
  ].filter((reason) => reason !== undefined)
  return {
    kind: 'row',
    counts: reasons.length === 0,
    reason: reasons.length === 0 ? null : reasons.join(', '),
    row,
  }
}

async function inspect(named: string | undefined, operator: Operator): Promise<Inspection> {
  if (named !== undefined) return await inspectRow(named, operator)
  const token = (await readSecret('Token')).trim()
  const hash = refreshTokenHash(token)
  if (hash === undefined) return await inspectAccessToken(token, operator)
  const found = await findLiveRefreshToken(operator.database, hash, operator.config.SESSION_MAX_AGE)
  return {
    kind: 'refresh_token',
    counts: found !== undefined,
    reason: found ? null : 'used, expired or ended, or none of this gateway',
    row: found ?? null,
  }
}

const inLines = (title: string, values: object | null | undefined) =>
  Object.entries(values ?? {}).map(
    ([name, value]) =>
      `${`${title}${name}`.padEnd(32)}${value === null ? '-' : value instanceof Date ? value.toISOString() : typeof value === 'string' ? value : JSON.stringify(value)}`,
  )

/** `token inspect`: what a token says and whether it counts; never the token. */
export async function inspectToken(named: string | undefined, asJson: boolean): Promise<CommandResult> {
  return await asOperator(async (operator) => {
    const found = await inspect(named, operator)
    const { kind, counts, reason, why, claims, row } = found
    return said(counts ? exitCodes.ok : exitCodes.no, asJson, found, [
      ...inLines('', { kind, counts, reason, ...(why === undefined ? {} : { why }) }),
      ...inLines('claim ', claims),
      ...inLines('row ', row),
    ])
  })
}
