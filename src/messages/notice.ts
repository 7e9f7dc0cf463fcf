import type { Tx } from '../database/connect.js'
import type { Language } from '../domain/languages.js'
import type { SecurityEvent } from './message.js'
import { findRecipient } from './message-queries.js'
import type { Outbox } from './outbox.js'

interface Notice {
  userId: string
  event: SecurityEvent
  language: Language
}

/** Writes a `security_notice` to the address of an account; nothing where it has none. */
export async function queueNotice(
  { hasWayOut, queueMessage }: Outbox,
  tx: Tx,
  { userId, event, language }: Notice,
): Promise<void> {
  const recipient = hasWayOut ? await findRecipient(tx, userId) : undefined
  if (!recipient) return
  const { email: to, username } = recipient
  await queueMessage(tx, { kind: 'security_notice', to, language, userId, username, event })
}
