import type { Tx } from '../database/connect.js'
import type { Language } from '../domain/languages.js'
import type { Outbox } from '../messages/outbox.js'
import { deleteMailedLinks, type ListedUser } from './user-queries.js'

interface EmailChange {
  before: Pick<ListedUser, 'id' | 'username' | 'email'>
  after: Pick<ListedUser, 'email'>
  language: Language
}

/**
 * Tells the old address that an admin has given an account another one, if so. It cannot undo that. Links that
 * were mailed about the account stop working.
 */
export async function tellOldAddress(
  { queueMessage }: Outbox,
  tx: Tx,
  { before: { id: userId, username, email: to }, after, language }: EmailChange,
): Promise<void> {
  if (to === after.email) return
  await deleteMailedLinks(tx, userId)
  if (to !== null) await queueMessage(tx, { kind: 'email_notice', to, language, userId, username })
}
