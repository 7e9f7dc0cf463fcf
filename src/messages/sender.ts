import { randomUUID } from 'node:crypto'
import { recordChange } from '../audit/record-change.js'
import type { Database, Tx } from '../database/connect.js'
import type { Sealing } from '../domain/sealing.js'
import { hourSeconds, minuteMs } from '../domain/time.js'
import type { Logger } from '../observability/logger.js'
import { SendError, type Envelope, type WayOut } from './message.js'
import {
  claimMessages,
  countPending,
  deleteOldMessages,
  failOverdue,
  noteFailed,
  noteRetry,
  noteSent,
  type ClaimedMessage,
  type FailedMessage,
} from './message-queries.js'

/** Seconds between an attempt in vain and the next one. */
const backoffSeconds = [5, 30, 120, 600]
/** Longer than any attempt takes: meanwhile no other node sends the message. */
const claimSeconds = 60
const attemptTimeoutMs = 45_000
const atATime = 5
const pollEveryMs = 1000
/** A message that was just written has been committed by then, mostly. */
const wakeAfterMs = 50
const sweepEveryMs = 10 * minuteMs
const keptDays = 30

/** Sends what the outbox holds. */
export interface Sender {
  /** Looks for messages shortly. */
  wake: () => void
  counts: () => { sent: number; retried: number; failed: number; pending: number }
  close: () => Promise<void>
}

interface Options {
  database: Database
  wayOut: WayOut
  sealing: Sealing
  logger: Logger
}

async function recordFailure(tx: Tx, { id, kind, mandateId, lastError }: FailedMessage): Promise<void> {
  await recordChange(tx, {
    actor: { userId: null, requestId: randomUUID() },
    mandateId: mandateId ?? 'system',
    action: 'message_failed',
    subject: `message:${id}`,
    after: { kind, error: lastError },
  })
}

/** Rejects when an attempt takes too long. */
function inTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new SendError(`no answer within ${attemptTimeoutMs / 1000} s`, false)),
      attemptTimeoutMs,
    )
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Returns the function that makes one attempt and notes what became of it. */
function attempt({ database, wayOut, sealing, logger }: Options, total: ReturnType<Sender['counts']>) {
  const giveUp = async (id: string, error: string) => {
    await database.transaction(async (tx) => {
      const given = await noteFailed(tx, id, error)
      if (!given) return
      await recordFailure(tx, given)
      total.failed += 1
    })
  }
  return async ({ id, kind, payload, attempts }: ClaimedMessage): Promise<void> => {
    const opened = payload === null ? undefined : sealing.unseal(payload)
    const envelope = opened === undefined ? undefined : (JSON.parse(opened) as Envelope)
    if (envelope?.id !== id) {
      await giveUp(id, 'it cannot be opened: SECRET_KEY is not the one that sealed it')
      return
    }
    try {
      await inTime(wayOut.send(envelope))
    } catch (error) {
      const { message, isFinal } = error instanceof SendError ? error : new SendError('it failed', false)
      logger.warn('a message was not sent', { message: id, kind, attempts, error: message })
      if (isFinal) await giveUp(id, message)
      else {
        const inSeconds = backoffSeconds[attempts - 1] ?? hourSeconds
        await database.transaction((tx) => noteRetry(tx, { id, attempts, error: message, inSeconds }))
        total.retried += 1
      }
      return
    }
    await database.transaction((tx) => noteSent(tx, id))
    total.sent += 1
  }
}

/**
 * Starts to send messages. Any number of nodes do it together: each message is taken by one of them. Without
 * the database, or without a node that lives on, it is sent later, and maybe twice, with the same id.
 */
export function startSender(options: Options): Sender {
  const { database, logger } = options
  const total = { sent: 0, retried: 0, failed: 0, pending: 0 }
  const deliver = attempt(options, total)
  let isClosed = false
  let running: Promise<void> | undefined
  let isWanted = false
  let sweptAtMs = performance.now()

  /** Returns whether there may be more. */
  const failSome = () =>
    database.transaction(async (tx) => {
      const given = await failOverdue(tx)
      for (const one of given) await recordFailure(tx, one)
      total.failed += given.length
      return given.length > 0
    })
  /** Returns whether there may be more. */
  const sendSome = async () => {
    const claimed = await database.transaction((tx) =>
      claimMessages(tx, { atMost: atATime, forSeconds: claimSeconds }),
    )
    await Promise.all(claimed.map(deliver))
    return claimed.length === atATime
  }
  const sweep = async () => {
    if (performance.now() - sweptAtMs < sweepEveryMs) return
    sweptAtMs = performance.now()
    await database.transaction((tx) => deleteOldMessages(tx, keptDays))
  }
  const round = async () => {
    const { pending, due } = await countPending(database)
    total.pending = pending
    if (due > 0) {
      while (!isClosed && (await failSome()));
      while (!isClosed && (await sendSome()));
      total.pending = (await countPending(database)).pending
    }
    await sweep()
  }
  const run = () => {
    isWanted = true
    running ??= (async () => {
      while (isWanted && !isClosed) {
        isWanted = false
        await round()
      }
    })()
      .catch((error: unknown) => {
        logger.debug('messages could not be looked at', { error })
      })
      .finally(() => {
        running = undefined
      })
  }
  const timer = setInterval(run, pollEveryMs)
  timer.unref()
  return {
    wake: () => {
      setTimeout(run, wakeAfterMs).unref()
    },
    counts: () => total,
    close: async () => {
      isClosed = true
      clearInterval(timer)
      await running
      options.wayOut.close()
    },
  }
}
