import type { Sql } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import type { Middleware } from '../http/endpoint/chain.js'
import type { Logger } from '../observability/logger.js'
import { listUsedUp } from './subscription-queries.js'

/** What is known of a mandate's requests of this month. */
interface Known {
  mandateId: string
  /** How many it had, once they are used up. */
  usedUp: number | undefined
  /** Milliseconds since 1970. */
  askedAtMs: number
}

/** How old what is known may be: a quota is a matter of money, and not of who may do what. */
const freshMs = 1000

function secondsToNextMonth(nowMs: number): number {
  const now = new Date(nowMs)
  return Math.ceil((Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1) - nowMs) / 1000)
}

/**
 * Refuses requests in mandates that have used up what their subscription allows in a month (UTC). Looks at
 * what it knows, and asks for news behind the request, one statement a second for all mandates that are used:
 * so the last requests of a month may be some more than were sold. When the database cannot be asked it goes
 * on with what it knew.
 */
export function limitByQuota({ sql, logger }: { sql: Sql; logger: Logger }): Middleware {
  const known = new Map<string, Known>()
  const wanted = new Set<Known>()

  const ask = async () => {
    const asked = [...wanted]
    wanted.clear()
    try {
      const usedUp = new Map(
        (
          await listUsedUp(
            sql,
            asked.map(({ mandateId }) => mandateId),
          )
        ).map(({ mandateId, quota }) => [mandateId, quota]),
      )
      for (const one of asked) one.usedUp = usedUp.get(one.mandateId)
    } catch (error) {
      logger.debug('quotas could not be read; what was known of them holds on', { error })
    }
  }

  return (req, _res, next) => {
    const mandateId = req.state.namedMandateId
    if (mandateId === undefined) {
      next()
      return
    }
    let one = known.get(mandateId)
    if (!one) known.set(mandateId, (one = { mandateId, usedUp: undefined, askedAtMs: 0 }))
    if (req.state.decidedAtMs - one.askedAtMs >= freshMs) {
      one.askedAtMs = req.state.decidedAtMs
      if (wanted.size === 0) setImmediate(() => void ask())
      wanted.add(one)
    }
    if (one.usedUp === undefined) next()
    else
      next(
        new GatewayError(
          'rate_limited',
          `This mandate has used up the ${one.usedUp} requests that its subscription allows in a month`,
          { headers: { 'Retry-After': String(secondsToNextMonth(req.state.decidedAtMs)) } },
        ),
      )
  }
}
