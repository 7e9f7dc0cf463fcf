import { randomUUID } from 'node:crypto'
import type { Tx } from '../database/connect.js'
import type { Sealing } from '../domain/sealing.js'
import { hashSecret } from '../domain/secrets.js'
import type { Limit, RateLimit } from '../domain/rate-limit.js'
import { tooManyRequests } from '../http/limits/limit-rate.js'
import type { Envelope, NewMessage } from './message.js'
import { countMessages, insertMessage, lockCount, type Counted } from './message-queries.js'
import { render, typedText } from './render.js'

/** Where changes write the messages that report them. */
export interface Outbox {
  /** Whether there is a way out. Without one, no message is written. */
  hasWayOut: boolean
  /**
   * Writes a message in the change's own transaction; it is sent when that has committed. Throws
   * `rate_limited` where RATE_LIMIT_MAIL allows no more of its kind: then nothing of the change is kept.
   */
  queueMessage: (tx: Tx, message: NewMessage) => Promise<void>
  /** Returns whether RATE_LIMIT_MAIL allows no more messages of this kind to the recipient. */
  isOverLimit: (tx: Tx, message: Pick<NewMessage, 'kind' | 'to'>) => Promise<boolean>
}

interface Options {
  limit: RateLimit
  hasWayOut: boolean
  sealing: Sealing
  publicUrl: () => string
  /** Called when a message has been written; its transaction has not committed yet. */
  onQueued?: () => void
}

/** How many times its own limit all invitations of a mandate have together. */
const recipientsOfMandate = 50

/** What a kind is counted by, and how often it may be sent. Other kinds are always sent. */
function limitsOf({ kind, to, mandateId = '', userId = '' }: NewMessage, limit: Limit): [Counted, Limit][] {
  switch (kind) {
    case 'invitation':
      return [
        [{ kind, recipient: to, mandateId }, limit],
        [
          { kind, mandateId },
          { ...limit, requests: recipientsOfMandate * limit.requests },
        ],
      ]
    case 'first_access':
      return [[{ kind, recipient: to }, limit]]
    case 'email_confirm':
      return [[{ kind, userId }, limit]]
    default:
      return []
  }
}

/** The text that is stored of a message, before it is sealed. */
function envelopeOf(id: string, message: NewMessage, url: string | undefined): Envelope {
  const { kind, to, language, mandateId, mandateLabel, username, link } = message
  return {
    id,
    kind,
    to,
    language,
    ...render(message, url),
    data: {
      link: url ?? null,
      mandateId: mandateId ?? null,
      mandateLabel: typedText(mandateLabel) ?? null,
      username: username ?? null,
    },
    expiresAt: link?.expiresAt.toISOString() ?? null,
  }
}

/** Opens the outbox. */
export function openOutbox({ limit, hasWayOut, sealing, publicUrl, onQueued }: Options): Outbox {
  const write = async (tx: Tx, message: NewMessage) => {
    const id = randomUUID()
    const { link } = message
    const url = link && publicUrl() + link.path
    await insertMessage(tx, {
      id,
      kind: message.kind,
      recipient: message.to,
      userId: message.userId ?? null,
      mandateId: message.mandateId ?? null,
      payload: sealing.seal(JSON.stringify(envelopeOf(id, message, url))),
      linkHash: link ? hashSecret(link.path.slice(link.path.lastIndexOf('/') + 1)) : null,
      expiresAt: link?.expiresAt ?? null,
    })
    onQueued?.()
  }
  return {
    hasWayOut,
    queueMessage: async (tx, message) => {
      if (!hasWayOut) return
      for (const [counted, allowed] of limit ? limitsOf(message, limit) : []) {
        await lockCount(tx, counted)
        const { count, secondsLeft } = await countMessages(tx, counted, allowed.windowMs / 1000)
        if (count >= allowed.requests) throw tooManyRequests(allowed, Math.max(1, secondsLeft))
      }
      await write(tx, message)
    },
    isOverLimit: async (tx, { kind, to }) => {
      if (!limit) return false
      const counted = { kind, recipient: to }
      await lockCount(tx, counted)
      return (await countMessages(tx, counted, limit.windowMs / 1000)).count >= limit.requests
    },
  }
}
