import { recordChange, type Actor } from '../audit/record-change.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'
import { reason } from '../domain/reasons.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import { GatewayError } from '../errors.js'
import type { OneTimeLink } from './first-access.js'
import type { Passwords } from './password.js'
import {
  insertFirstAdmin,
  insertSetupLink,
  isSetupLink,
  takeSetupLink,
  type Replacing,
} from './setup-queries.js'

const linkHours = 24

/**
 * Makes a link by which a person becomes the first admin, once. Returns undefined where there is an admin, or
 * with `earlier` where there is any user.
 */
export async function issueSetupLink(
  tx: Tx,
  actor: Actor,
  replacing: Replacing,
): Promise<OneTimeLink | undefined> {
  const token = makeSecret()
  const expiresAt = await insertSetupLink(tx, { tokenHash: hashSecret(token), hours: linkHours, replacing })
  if (!expiresAt) return undefined
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'setup_link_issued',
    subject: 'setup',
    after: { expiresAt },
  })
  return { path: `/auth/setup/${token}`, expiresAt }
}

/** The error is the same for a link that was used, has expired, was replaced or never made. */
const linkGone = () => new GatewayError('not_found', reason('setup_link_used'))

/** Throws `not_found` for a link that does not work. */
export async function requireSetupLink(sql: Sql, tokenHash: string): Promise<void> {
  if (!(await isSetupLink(sql, tokenHash))) throw linkGone()
}

interface Dependencies {
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Pick<Passwords, 'hash'>
}

interface NewAdmin {
  username: string
  fullName: string | null
  password: string
}

/**
 * Uses a link up and makes the first admin, who is SysAdmin and PlatformAdmin. Returns false where the name is
 * taken; the link then still works. Throws `not_found` for a link that does not work.
 */
export async function becomeFirstAdmin(
  { commitAndAwaitNodes, passwords }: Dependencies,
  tokenHash: string,
  { username, fullName, password }: NewAdmin,
  actor: Actor,
): Promise<boolean> {
  const passwordHash = await passwords.hash(password)
  try {
    await commitAndAwaitNodes(async (tx) => {
      if (!(await takeSetupLink(tx, tokenHash))) throw linkGone()
      const id = await insertFirstAdmin(tx, { username, fullName, passwordHash })
      if (id === undefined) throw new GatewayError('conflict', reason('taken'))
      await recordChange(tx, {
        actor: { ...actor, userId: id },
        mandateId: 'system',
        action: 'first_admin_made',
        subject: `user:${id}`,
        after: { username, fullName, isSysAdmin: true, isPlatformAdmin: true },
      })
    })
    return true
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'conflict') return false
    throw error
  }
}
