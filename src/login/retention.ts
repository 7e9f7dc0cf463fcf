import { setTimeout as wait } from 'node:timers/promises'
import type { Database, Tx } from '../database/connect.js'
import { deleteExpiredChallenges } from './factors/challenge-queries.js'
import type { Logger } from '../observability/logger.js'
import {
  deleteEndedInvitations,
  deleteExpiredAccountLinks,
  deleteExpiredRefreshTokens,
  deleteExpiredTokens,
  deleteSilentSessions,
  tryRetentionLock,
} from './retention-queries.js'

/** Expired rows decide nothing any more; for a while they still tell what was. */
const tokenDays = 7
const sessionDays = 30
/** An expired invitation can be sent again until then. */
const invitationDays = 90
/** Small enough that nobody waits long for the rows of a batch. */
const batchSize = 200
const pauseMs = 50
const batchesPerRound = 200
const everyMs = 60_000

/** The kinds of rows, in an order in which each goes before what it belongs to. */
const kinds: ((tx: Tx) => Promise<number>)[] = [
  (tx) => deleteExpiredTokens(tx, { olderThanDays: tokenDays, atMost: batchSize }),
  (tx) => deleteExpiredRefreshTokens(tx, { olderThanDays: tokenDays, atMost: batchSize }),
  (tx) => deleteExpiredAccountLinks(tx, { olderThanDays: tokenDays, atMost: batchSize }),
  (tx) => deleteEndedInvitations(tx, { olderThanDays: invitationDays, atMost: batchSize }),
  (tx) => deleteExpiredChallenges(tx, { atMost: batchSize }),
  (tx) => deleteSilentSessions(tx, { olderThanDays: sessionDays, atMost: batchSize }),
]

/**
 * Forgets logins that ended long ago: a bounded number, in small transactions, of one node at a time. Answers
 * how many rows went. A batch that is not full was the last of its kind, or another node's.
 */
export async function forgetOldLogins(
  database: Pick<Database, 'transaction'>,
  isStopping = () => false,
): Promise<number> {
  let forgotten = 0
  for (const deleteSome of kinds) {
    for (let batch = 0; batch < batchesPerRound && !isStopping(); batch += 1) {
      const deleted = await database.transaction(async (tx) =>
        (await tryRetentionLock(tx)) ? await deleteSome(tx) : 0,
      )
      forgotten += deleted
      if (deleted < batchSize) break
      await wait(pauseMs)
    }
  }
  return forgotten
}

/** Forgets old logins every minute. Without the database it tries again with the next. */
export function startRetention({ database, logger }: { database: Database; logger: Logger }): {
  close: () => Promise<void>
} {
  let isClosed = false
  let running: Promise<unknown> | undefined
  const timer = setInterval(() => {
    running ??= forgetOldLogins(database, () => isClosed)
      .catch((error: unknown) => logger.debug('old logins could not be forgotten', { error }))
      .finally(() => {
        running = undefined
      })
  }, everyMs)
  timer.unref()
  return {
    close: async () => {
      isClosed = true
      clearInterval(timer)
      await running
    },
  }
}
