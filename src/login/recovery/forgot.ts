import { namesOf } from '../../authentication/precis.js'
import type { Database, Tx } from '../../database/connect.js'
import { prepareEmail } from '../../domain/email-address.js'
import type { Language } from '../../domain/languages.js'
import type { RateLimit } from '../../domain/rate-limit.js'
import { hourSeconds } from '../../domain/time.js'
import type { Counts, Tally } from '../../http/limits/counts.js'
import { networkOf, tooManyRequests, wideNetworkOf } from '../../http/limits/limit-rate.js'
import type { Outbox } from '../../messages/outbox.js'
import type { Logger } from '../../observability/logger.js'
import { createFairQueue } from '../fair-queue.js'
import { findLoginUser } from '../session-queries.js'
import {
  deleteAccountLinks,
  listRecoverable,
  lockRecoverable,
  type Recoverable,
} from './account-link-queries.js'
import { issueAccountLink } from './issue-account-link.js'

/** A name or address that somebody typed, and from where. */
export interface Forgotten {
  identifier: string
  language: Language
  address: string
}

interface Dependencies {
  database: Database
  outbox: Outbox
  counts: Pick<Counts, 'tally'>
  limit: RateLimit
  logger: Logger
}

/** How many times RATE_LIMIT_MAIL a client address may ask. */
const timesByAddress = 10
/** Requests that wait to be looked at; the networks they come from take turns. */
const mostWaiting = 1000

/** Sends an account a link, in the place of an earlier one. Beyond the limit the earlier one stays good. */
async function sendReset(
  tx: Tx,
  account: Recoverable,
  { outbox, language }: { outbox: Outbox; language: Language },
): Promise<void> {
  const { id: userId, email: to, username } = account
  if (!(await lockRecoverable(tx, account))) return
  if (await outbox.isOverLimit(tx, { kind: 'password_reset', to })) return
  await deleteAccountLinks(tx, userId, ['password_reset'])
  const link = await issueAccountLink(tx, {
    kind: 'password_reset',
    userId,
    sentTo: to,
    seconds: hourSeconds,
  })
  await outbox.queueMessage(tx, { kind: 'password_reset', to, language, userId, username, link })
}

/**
 * Returns the function that takes a request for a new password. It resolves before anything is looked up, so
 * that its answer and its time are the same for every name. Rejects with `rate_limited` by client address.
 */
export function takeForgotten({
  database,
  outbox,
  counts,
  limit,
  logger,
}: Dependencies): (forgotten: Forgotten) => Promise<void> {
  const byAddress = limit && { ...limit, requests: timesByAddress * limit.requests }
  let tally: Tally | undefined
  const queue = createFairQueue({ atATime: 2, maxWaiting: mostWaiting })
  const look = async ({ identifier, language }: Forgotten) => {
    const user = await findLoginUser(database, namesOf(identifier))
    const accounts = await listRecoverable(database, {
      userId: user?.id ?? null,
      email: prepareEmail(identifier) ?? identifier,
    })
    for (const account of accounts)
      await database.transaction((tx) => sendReset(tx, account, { outbox, language }))
  }
  return async (forgotten) => {
    if (byAddress) {
      tally ??= counts.tally('forgot', byAddress.windowMs)
      const { count, endsAt } = await tally.add(networkOf(forgotten.address), 1)
      const seconds = Math.max(1, Math.ceil((endsAt - performance.now()) / 1000))
      if (count > byAddress.requests) throw tooManyRequests(byAddress, seconds)
    }
    setImmediate(() => {
      queue
        .run(wideNetworkOf(forgotten.address), () => look(forgotten))
        .catch((error: unknown) => logger.warn('a request for a new password was dropped', { error }))
    })
  }
}
