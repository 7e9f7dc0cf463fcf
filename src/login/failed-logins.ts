import { setTimeout as wait } from 'node:timers/promises'
import pLimit, { type LimitFunction } from 'p-limit'
import { minuteMs } from '../domain/time.js'
import type { RateLimit } from '../domain/rate-limit.js'
import { GatewayError } from '../errors.js'
import type { Counts, Tally } from '../http/limits/counts.js'
import { networkOf, wideNetworkOf } from '../http/limits/limit-rate.js'
import { hashSecret } from '../domain/secrets.js'

/** Somebody who tries to sign in as somebody. */
export interface Attempt {
  username: string
  address: string
  requestId: string
}

/**
 * Rejects with `rate_limited` if the address has failed too often meanwhile: to be asked when an attempt's
 * turn has come.
 */
type MayGoOn = () => Promise<void>

/**
 * Checks an attempt, unless there were too many; undefined is a failed one, a rejection one that could not be
 * made.
 */
export type LimitAttempts = <Result>(
  attempt: Attempt,
  check: (mayGoOn: MayGoOn) => Promise<Result | undefined>,
) => Promise<Result | undefined>

/** Failures of an account are remembered for so long, wherever they came from. */
const accountWindowMs = 15 * minuteMs
/** So many typing errors cost nobody any time. */
const freeFailures = 5
const firstDelayMs = 50
/** The owner, who types the right password elsewhere while somebody guesses, waits no longer than this. */
const longestDelayMs = 2000
const attemptsAtATime = 2
const maxWaiting = 100

/** How long an attempt waits before it is checked, by the account's failures: twice as long with each. */
export const delayMs = (failures: number) =>
  failures < freeFailures ? 0 : Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - freeFailures))

/**
 * How many failures one address may have with the account: ever fewer, while many addresses guess at it, but
 * one for whoever comes from another.
 */
export const allowedFailures = (limit: number, failures: number) =>
  Math.max(1, Math.floor(limit / 2 ** Math.floor(failures / (2 * limit))))

/**
 * Attempts of one key, some at a time: many that are right pass one after the other, and many that are wrong
 * do not pass together.
 */
function takeTurns() {
  const lanes = new Map<string, { lane: LimitFunction; count: number }>()
  return async <Result>(key: string, work: () => Promise<Result>): Promise<Result> => {
    const turns = lanes.get(key) ?? { lane: pLimit(attemptsAtATime), count: 0 }
    if (turns.count >= maxWaiting)
      throw new GatewayError('overloaded', 'Too many logins at once. Try again shortly.')
    lanes.set(key, turns)
    turns.count += 1
    try {
      return await turns.lane(work)
    } finally {
      turns.count -= 1
      if (turns.count === 0) lanes.delete(key)
    }
  }
}

function tooManyFailures(endsAt: number): GatewayError {
  const seconds = Math.max(1, Math.ceil((endsAt - performance.now()) / 1000))
  return new GatewayError('rate_limited', `Too many failed logins. Try again in ${seconds} s.`, {
    headers: { 'Retry-After': String(seconds) },
  })
}

/**
 * Counted before the check, so that attempts at several nodes do not pass together; throws `rate_limited`.
 */
async function countAttempt(byAddress: Tally, key: string, allowed: number): Promise<void> {
  const { count, endsAt } = await byAddress.add(key, 1)
  if (count > allowed) throw tooManyFailures(endsAt)
}

/**
 * Failures of an address are remembered for so long, whatever accounts it names, and whatever it gets right
 * between them.
 */
const addressWindowMs = 15 * minuteMs
const leastOfAddress = 100
/** Many customers of a provider may be in a wide network. */
const customersOfWideNetwork = 10

/** Tells of an attempt that was refused because its address had failed so often. */
export type OnSpraying = (attempt: Attempt, failures: number) => void

/**
 * Counts the failures of an address (IPv6: of its /64 and of its /48) whatever accounts they name: few
 * passwords are tried on many accounts.
 */
function limitSpraying(
  { requests }: Exclude<RateLimit, undefined>,
  counts: Pick<Counts, 'tally'>,
  onSpraying: OnSpraying,
) {
  const tally = counts.tally('login-address', addressWindowMs)
  const most = Math.max(leastOfAddress, 10 * requests)
  const limitsOf = (address: string) => {
    const [network, wide] = [networkOf(address), wideNetworkOf(address)]
    return [
      { network, most },
      ...(wide === network ? [] : [{ network: wide, most: customersOfWideNetwork * most }]),
    ]
  }
  return {
    refuse: async (attempt: Attempt) => {
      for (const { network, most: allowed } of limitsOf(attempt.address)) {
        const { count, endsAt } = await tally.add(network, 0)
        if (count < allowed) continue
        onSpraying(attempt, count)
        throw tooManyFailures(endsAt)
      }
    },
    count: async ({ address }: Attempt) => {
      for (const { network } of limitsOf(address)) await tally.add(network, 1)
    },
  }
}

/**
 * Slows guessers down, wherever they are, and shuts nobody out but the address that guesses. Failures are
 * counted by address and account together (`limit`), by account alone: those let every attempt at the account
 * wait, right or wrong, before it is checked; and by address alone, which shuts the address out. See
 * docs/sessions.md.
 */
export function limitFailedLogins(
  limit: RateLimit,
  counts: Pick<Counts, 'tally'>,
  onSpraying: OnSpraying,
): LimitAttempts {
  if (!limit) return (_attempt, check) => check(() => Promise.resolve())
  const byAddress = counts.tally('login', limit.windowMs)
  const byAccount = counts.tally('account', accountWindowMs)
  const spraying = limitSpraying(limit, counts, onSpraying)
  const inTurn = takeTurns()
  return async (attempt, check) => {
    const { username, address } = attempt
    await spraying.refuse(attempt)
    const [account, key] = [hashSecret(username), hashSecret(`${networkOf(address)} ${username}`)] // names are nobody's business in Redis
    return await inTurn(key, async () => {
      const { count: failures } = await byAccount.add(account, 0)
      await countAttempt(byAddress, key, allowedFailures(limit.requests, failures))
      try {
        await wait(delayMs(failures))
        const result = await check(() => spraying.refuse(attempt))
        if (result === undefined) {
          await byAccount.add(account, 1)
          await spraying.count(attempt)
        } else await byAddress.forget(key)
        return result
      } catch (error) {
        await byAddress.add(key, -1)
        throw error
      }
    })
  }
}
