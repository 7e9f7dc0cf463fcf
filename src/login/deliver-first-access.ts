import type { Tx } from '../database/connect.js'
import type { Language } from '../domain/languages.js'
import { chooseDelivery, type Deliver } from '../messages/deliver.js'
import { findDelivery, findRecipient, type Delivery } from '../messages/message-queries.js'
import type { Outbox } from '../messages/outbox.js'
import { issueFirstAccess } from './first-access.js'
import { noteSentTo } from './first-access-queries.js'
import { hashSecret } from '../domain/secrets.js'

/** For whom a link to a first password is, and how it is delivered. */
export interface FirstAccessOrder {
  userId: string
  issuedBy: string | null
  deliver: Deliver | undefined
  language: Language
}

/** A link to a first password, or how the message with it fares. */
export interface DeliveredFirstAccess {
  /** The link's path; null where it is mailed. */
  path: string | null
  expiresAt: Date
  delivery: Delivery | null
}

/**
 * Makes a user's one-time link and mails it, or returns it. Throws `not_found` as `issueFirstAccess` does,
 * `validation_failed` where it cannot be mailed as asked, and `rate_limited`.
 */
export async function deliverFirstAccess(
  outbox: Outbox,
  tx: Tx,
  { userId, issuedBy, deliver, language }: FirstAccessOrder,
): Promise<DeliveredFirstAccess> {
  const link = await issueFirstAccess(tx, userId, issuedBy)
  const recipient = await findRecipient(tx, userId)
  const way = chooseDelivery(outbox, deliver, recipient?.email ?? null)
  if (way === 'link' || recipient === undefined) return { ...link, delivery: null }
  const { email: to, username } = recipient
  const tokenHash = hashSecret(link.path.slice(link.path.lastIndexOf('/') + 1))
  await noteSentTo(tx, tokenHash, to)
  await outbox.queueMessage(tx, { kind: 'first_access', to, language, userId, username, link })
  return { path: null, expiresAt: link.expiresAt, delivery: (await findDelivery(tx, tokenHash)) ?? null }
}
