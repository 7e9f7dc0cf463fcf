import { hourMs } from '../../domain/time.js'
import type { RateLimit } from '../../domain/rate-limit.js'
import type { Tx } from '../../database/connect.js'
import { GatewayError } from '../../errors.js'
import { addFailure, endRow, lockFailures, type Failing } from './failure-queries.js'

/** Who types a code, and where. */
export interface Typist {
  userId: string
  /** The session that is proved again, if it was proved by a factor before. */
  provenSessionId?: string | undefined
}

/** What came of a code. */
export interface Limited {
  isRight: boolean
  /** Whether this wrong code was the last that the limit allows. */
  isLimitReached: boolean
}

/** Wrong codes in a row at login, after which only another factor or a new password opens it again. */
const mostInRow = 100
/** Wrong codes in a session that was proved by a factor: whoever has it is probably the owner. */
const inSession = { requests: 10, windowMs: hourMs }

const tooMany = (seconds: number) =>
  new GatewayError(
    'rate_limited',
    'Too many wrong codes. Use a passkey or a recovery code, or try again later.',
    { headers: { 'Retry-After': String(Math.max(1, seconds)) } },
  )

/**
 * Checks a code of an authenticator app, unless too many were wrong: then it throws `rate_limited`, and the code
 * is not looked at. All nodes count together, in the database. Passkeys and recovery codes stay open, and so do
 * sessions that were proved by a factor: nobody can lock the owner out.
 */
export async function limitCodes(
  tx: Tx,
  limit: RateLimit,
  { userId, provenSessionId }: Typist,
  check: () => Promise<boolean>,
): Promise<Limited> {
  const failing: Failing = { id: provenSessionId ?? userId, userId, sessionId: provenSessionId ?? null }
  const { requests = Infinity, windowMs = inSession.windowMs } =
    provenSessionId === undefined ? (limit ?? {}) : inSession
  const { inWindow, inRow, secondsLeft } = await lockFailures(tx, failing, windowMs / 1000)
  if (inWindow >= requests) throw tooMany(secondsLeft)
  if (provenSessionId === undefined && inRow >= mostInRow) throw tooMany(windowMs / 1000)
  if (await check()) {
    await endRow(tx, userId)
    return { isRight: true, isLimitReached: false }
  }
  await addFailure(tx, failing.id)
  return { isRight: false, isLimitReached: provenSessionId === undefined && inWindow + 1 === requests }
}
