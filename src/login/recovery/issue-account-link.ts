import type { Tx } from '../../database/connect.js'
import { hashSecret, makeSecret } from '../../domain/secrets.js'
import type { MessageLink } from '../../messages/message.js'
import { insertAccountLink, type AccountLinkKind, type NewAccountLink } from './account-link-queries.js'

const paths: Record<AccountLinkKind, string> = {
  password_reset: '/auth/reset',
  email_confirm: '/auth/email',
  email_undo: '/auth/email-undo',
}

/** Makes a link of a kind, to be mailed: nobody else sees it. */
export async function issueAccountLink(
  tx: Tx,
  link: Omit<NewAccountLink, 'tokenHash'>,
): Promise<MessageLink> {
  const token = makeSecret()
  const expiresAt = await insertAccountLink(tx, { ...link, tokenHash: hashSecret(token) })
  return { path: `${paths[link.kind]}/${token}`, expiresAt }
}
