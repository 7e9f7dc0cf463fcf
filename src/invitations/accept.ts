import type { Actor } from '../audit/record-change.js'
import { recordChange } from '../audit/record-change.js'
import { findLevels, lockAdministration } from '../authorization/level-queries.js'
import type { CoherentTx, CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import { lockMandate } from '../directory/authority-queries.js'
import { giveInvited } from '../directory/give-invited.js'
import { inInvitedMandate } from '../directory/scope.js'
import { reason } from '../domain/reasons.js'
import { faultAt, GatewayError, statusOf } from '../errors.js'
import {
  findOpenInvitation,
  insertInvitedUser,
  lockOpenInvitation,
  lockPerson,
  noteInvited,
  settleInvitation,
  type OpenInvitation,
} from './invitation-queries.js'
import { refuseUngivable } from './judge.js'

/** An account that is made by accepting an invitation. */
export interface NewAccount {
  username: string
  fullName: string | null
  passwordHash: string
}

/** Who accepts: somebody who is signed in, or a new account. */
export type Accepting = { userId: string } | { account: NewAccount }

/** What accepting an invitation made. */
export interface Accepted {
  mandateId: string
  userId: string
}

/** Used, expired, replaced, revoked, never made: the same answer, so that nobody learns which. */
export const invitationGone = () => new GatewayError('not_found', reason('link_used'))

/** Returns whether the inviter could give this now; anything but a refusal is no answer. */
async function isGivable(tx: CoherentTx, invitation: OpenInvitation): Promise<boolean> {
  const { mandateId, mandateEnabled, invitedBy } = invitation
  if (!mandateEnabled || invitedBy === null) return false
  const levels = await findLevels(tx, invitedBy)
  try {
    await inInvitedMandate(tx, mandateId, (inside) =>
      refuseUngivable(inside, mandateId, invitation, { ...invitation, levels }),
    )
    return true
  } catch (error) {
    if (!(error instanceof GatewayError) || statusOf(error.code) >= 500) throw error
    await inInvitedMandate(tx, mandateId, () => Promise.resolve()) // leaves the mandate again
    return false
  }
}

const taken = () =>
  new GatewayError('validation_failed', 'The account cannot be made', {
    errors: [faultAt('username', reason('taken'))],
  })

async function makeAccount(
  tx: CoherentTx,
  { email, isMailed }: OpenInvitation,
  { account, actor }: { account: NewAccount; actor: Actor },
): Promise<string> {
  const { username, fullName } = account
  const userId = await insertInvitedUser(tx, { ...account, email, emailConfirmed: isMailed }).catch(
    (error: unknown) => {
      throw error instanceof GatewayError && error.code === 'conflict' ? taken() : error
    },
  )
  await recordChange(tx, {
    actor: { ...actor, userId },
    mandateId: 'system',
    action: 'user_created',
    subject: `user:${userId}`,
    after: { username, email, fullName, selfMade: true, emailConfirmed: isMailed },
  })
  return userId
}

async function acceptIn(
  tx: CoherentTx,
  { tokenHash, who, actor }: { tokenHash: string; who: Accepting; actor: Actor },
): Promise<Accepted | 'void'> {
  const seen = await findOpenInvitation(tx, tokenHash)
  if (!seen) throw invitationGone()
  // The inviter's level and rights stay as they are from here to the end.
  await lockAdministration(tx)
  await lockMandate(tx, seen.mandateId)
  const invitation = await lockOpenInvitation(tx, tokenHash)
  if (!invitation) throw invitationGone()
  const { id, mandateId } = invitation
  const by = { ...actor, userId: 'userId' in who ? who.userId : null }
  const event = { actor: by, mandateId, subject: `invitation:${id}` }
  if (!(await isGivable(tx, invitation))) {
    await settleInvitation(tx, id, 'void')
    await recordChange(tx, { ...event, action: 'invitation_void' })
    return 'void'
  }
  if ('userId' in who && !(await lockPerson(tx, who.userId)))
    throw new GatewayError('permission_denied', 'Only an enabled person can accept an invitation')
  const userId = 'userId' in who ? who.userId : await makeAccount(tx, invitation, { ...who, actor })
  const acting = { ...actor, userId }
  await inInvitedMandate(tx, mandateId, (inside) =>
    giveInvited(inside, { mandateId, userId, actor: acting, grant: invitation }),
  )
  await settleInvitation(tx, id, 'accepted', userId)
  await noteInvited(tx, tokenHash, userId)
  await recordChange(tx, { ...event, actor: acting, action: 'invitation_accepted', after: { userId } })
  return { mandateId, userId }
}

/**
 * Accepts an invitation, once. The inviter's rights are judged again: what they could not give now makes it
 * void. Throws `not_found`, `invitation_void`, and `conflict` for a member and a full mandate; then it stays
 * pending.
 */
export async function acceptInvitation(
  commitAndAwaitNodes: CommitAndAwaitNodes,
  accepting: { tokenHash: string; who: Accepting; actor: Actor },
): Promise<Accepted> {
  const { result } = await commitAndAwaitNodes((tx) => acceptIn(tx, accepting))
  if (result === 'void') throw new GatewayError('invitation_void', reason('invitation_void'))
  return result
}
