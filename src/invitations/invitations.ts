import { lockMandate } from '../directory/authority-queries.js'
import { found } from '../directory/fields.js'
import type { Edit } from '../directory/scope.js'
import type { Language } from '../domain/languages.js'
import { reason } from '../domain/reasons.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import { GatewayError } from '../errors.js'
import type { Deliver } from '../messages/deliver.js'
import type { MessageLink } from '../messages/message.js'
import type { Outbox } from '../messages/outbox.js'
import {
  countSeats,
  findInvitation,
  findInvitationForUpdate,
  insertInvitation,
  isKnownHere,
  replaceInvitationLink,
  settleInvitation,
  type Invitation,
  type InvitedAs,
  type InvitedGrant,
} from './invitation-queries.js'
import { affectedBy, refuseAccess, refuseOtherGrant } from './judge.js'

/** Who invites, and how the link is sent. */
export interface Sending {
  outbox: Outbox
  invitedAs: InvitedAs
  /** The name of the person who invites, as the message shows it. */
  inviter: string | undefined
  mandateLabel: string
  days: number
  deliver: Deliver
  language: Language
}

/** An invitation with its path, where the caller is to pass it on. */
export type SentInvitation = Invitation & { path: string | null }

const summaryOf = ({ roleIds, access, expiresAt }: InvitedGrant & { expiresAt: Date }) => ({
  roleIds,
  access,
  expiresAt,
})

/** Refuses what the caller could not give, and an address or a number that the mandate has no room for. */
async function refuse(edit: Edit, mandateId: string, grant: InvitedGrant & { email: string }): Promise<void> {
  const { tx, about } = edit
  await lockMandate(tx, mandateId) // of two at once one waits here, and then knows of the other
  await refuseOtherGrant(tx, grant)
  refuseAccess(edit, grant)
  await about(affectedBy(mandateId, grant))
  if (await isKnownHere(tx, mandateId, grant.email))
    throw new GatewayError('conflict', reason('invited_already'))
  const { used, quota } = await countSeats(tx, mandateId)
  if (quota !== null && used >= quota)
    throw new GatewayError('conflict', reason('quota_members', { quota, used }))
}

const mandateOf = ({ mandateId }: Edit): string => {
  if (mandateId === undefined) throw new Error('invitations are made in a mandate')
  return mandateId
}

async function send(
  { tx }: Edit,
  mandateId: string,
  { outbox, deliver, language, mandateLabel, inviter }: Sending,
  { email: to, link }: { email: string; link: MessageLink },
): Promise<void> {
  if (deliver === 'link') return
  const named = inviter === undefined ? {} : { inviter }
  await outbox.queueMessage(tx, { kind: 'invitation', to, language, mandateId, mandateLabel, link, ...named })
}

const pathOf = (token: string) => `/auth/invitations/${token}`

const sentAs = (edit: Edit, { days, deliver, invitedAs }: Sending, token: string) => ({
  tokenHash: hashSecret(token),
  days,
  isMailed: deliver === 'mail',
  invitedBy: edit.actor.userId,
  invitedAs,
})

/**
 * Invites an address to the mandate of the change. Throws as adding a member would, and `conflict` for an
 * address that is invited or a member's here; accounts elsewhere make no difference.
 */
export async function invite(
  edit: Edit,
  grant: InvitedGrant & { email: string },
  sending: Sending,
): Promise<SentInvitation> {
  const mandateId = mandateOf(edit)
  await refuse(edit, mandateId, grant)
  const token = makeSecret()
  const path = pathOf(token)
  const row = { ...grant, ...sentAs(edit, sending, token) }
  const { id, expiresAt } = await insertInvitation(edit.tx, mandateId, row)
  await send(edit, mandateId, sending, { email: grant.email, link: { path, expiresAt } })
  await edit.record({
    action: 'invitation_created',
    subject: `invitation:${id}`,
    after: summaryOf({ ...grant, expiresAt }),
  })
  const made = found(await findInvitation(edit.tx, mandateId, id))
  return { ...made, path: sending.deliver === 'link' ? path : null }
}

/** Sends an invitation again, with a new link. It is judged as an invitation by the caller. */
export async function resendInvitation(edit: Edit, id: string, sending: Sending): Promise<SentInvitation> {
  const mandateId = mandateOf(edit)
  await lockMandate(edit.tx, mandateId)
  const before = found(await findInvitationForUpdate(edit.tx, mandateId, id))
  if (before.status !== 'pending' && before.status !== 'expired')
    throw new GatewayError('conflict', reason('invitation_settled', { status: before.status }))
  await settleInvitation(edit.tx, id, 'expired') // so that it does not count beside itself
  await refuse(edit, mandateId, before)
  const token = makeSecret()
  const path = pathOf(token)
  const expiresAt = await replaceInvitationLink(edit.tx, id, sentAs(edit, sending, token))
  await send(edit, mandateId, sending, { email: before.email, link: { path, expiresAt } })
  await edit.record({
    action: 'invitation_resent',
    subject: `invitation:${id}`,
    before: summaryOf(before),
    after: summaryOf({ ...before, expiresAt }),
  })
  const made = found(await findInvitation(edit.tx, mandateId, id))
  return { ...made, path: sending.deliver === 'link' ? path : null }
}

/** Revokes an invitation: its link works no more. One that is settled stays as it is. */
export async function revokeInvitation(edit: Edit, id: string): Promise<void> {
  const before = found(await findInvitationForUpdate(edit.tx, mandateOf(edit), id))
  if (before.status !== 'pending' && before.status !== 'expired') return
  await settleInvitation(edit.tx, id, 'revoked')
  await edit.record({
    action: 'invitation_revoked',
    subject: `invitation:${id}`,
    before: summaryOf(before),
  })
}
