import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { allOf, where, type Page, type Positioned } from '../database/conditions.js'
import type { Sql } from '../database/connect.js'
import type { Changing, Seen } from '../directory/scope.js'
import { deliveryOf, type Delivery } from '../messages/message-queries.js'

/** What an invitation gives. */
export interface InvitedGrant {
  roleIds: string[]
  access: { instanceId: string; roleIds: string[] }[]
}

/** The states of an invitation. All but `pending` are final, but that an expired one can be sent again. */
export const invitationStates = ['pending', 'accepted', 'revoked', 'expired', 'void'] as const
export type InvitationState = (typeof invitationStates)[number]

/** How somebody may invite: by the mandate's rules, or as a platform admin. */
export type InvitedAs = 'mandate' | 'platform'

/** An invitation, as those who govern the mandate see it. */
export interface Invitation extends InvitedGrant {
  id: string
  email: string
  status: InvitationState
  invitedBy: string | null
  acceptedBy: string | null
  expiresAt: Date
  delivery: Delivery | null
}

const status = `case when i.status = 'pending' and i.expires_at <= now() then 'expired' else i.status end`
const columns = `
i.id, i.email, i.role_ids as "roleIds", i.access, ${status} as status, i.invited_by as "invitedBy",
       i.accepted_by as "acceptedBy", i.expires_at as "expiresAt",
       (select ${deliveryOf}
          from messages m
         where m.link_hash = i.token_hash
         limit 1) as delivery`

/** Lists invitations of a mandate, newest first. */
export async function listInvitations(
  sql: Seen,
  mandateId: string,
  state: InvitationState | undefined,
  { after, atMost }: Page,
): Promise<Positioned<Invitation>[]> {
  const { sql: condition, values } = allOf([
    ['i.mandate_id = ?', mandateId],
    where(state, `${status} = ?`),
    after && ['(i.created_at, i.id) < (?::timestamptz, ?::uuid)', ...after],
  ])
  return await sql.rows(
    `
    select ${columns}, array[i.created_at::text, i.id::text] as position
      from invitations i
     where ${condition}
     order by i.created_at desc, i.id desc
     limit ?`,
    [...values, atMost],
  )
}

/** Finds an invitation of a mandate. */
export async function findInvitation(
  sql: Seen,
  mandateId: string,
  id: string,
): Promise<Invitation | undefined> {
  const [found] = await sql.rows<Invitation>(
    `select ${columns} from invitations i where i.mandate_id = ? and i.id = ?`,
    [mandateId, id],
  )
  return found
}

/** As `findInvitation`; the row stays as it is until the transaction ends. */
export async function findInvitationForUpdate(
  tx: Changing,
  mandateId: string,
  id: string,
): Promise<Invitation | undefined> {
  await tx.rows('select from invitations where mandate_id = ? and id = ? for update', [mandateId, id])
  return await findInvitation(tx, mandateId, id)
}

/** Whether an address is invited here already, or is a member's. Neither says anything of other mandates. */
export async function isKnownHere(tx: Changing, mandateId: string, email: string): Promise<boolean> {
  await tx.run(
    `
    update invitations
       set status = 'expired'
     where mandate_id = ? and lower(email) = lower(?) and status = 'pending' and expires_at <= now()`,
    [mandateId, email],
  )
  return (
    (
      await tx.rows(
        `
        select from invitations where mandate_id = ? and lower(email) = lower(?) and status = 'pending'
        union all
        select
          from user_mandates um
          join users u on u.id = um.user_id
         where um.mandate_id = ? and lower(u.email) = lower(?)`,
        [mandateId, email, mandateId, email],
      )
    ).length > 0
  )
}

/** Counts members and pending invitations, and says how many the subscription allows; null is no limit. */
export async function countSeats(
  tx: Changing,
  mandateId: string,
): Promise<{ used: number; quota: number | null }> {
  const [row] = await tx.rows<{ used: number; quota: number | null }>(
    `
    select (select count(*) from user_mandates where mandate_id = ?)::int
           + (select count(*)
                from invitations
               where mandate_id = ? and status = 'pending' and expires_at > now())::int as used,
           (select members from subscriptions where mandate_id = ?) as quota`,
    [mandateId, mandateId, mandateId],
  )
  return row ?? { used: 0, quota: null }
}

/** What an invitation's link is. */
export interface SentAs {
  tokenHash: string
  days: number
  isMailed: boolean
  invitedBy: string | null
  invitedAs: InvitedAs
}

/** Writes an invitation. Returns its id and when it ends. */
export async function insertInvitation(
  tx: Changing,
  mandateId: string,
  { email, roleIds, access, ...sent }: InvitedGrant & SentAs & { email: string },
): Promise<{ id: string; expiresAt: Date }> {
  const [row] = await tx.rows<{ id: string; expiresAt: Date }>(
    `
    insert into invitations (mandate_id, email, role_ids, access, token_hash, is_mailed, invited_by,
                             invited_as, expires_at)
    values (?, ?, ?::uuid[], ?::jsonb, ?, ?, ?, ?, now() + make_interval(days => ?))
    returning id, expires_at as "expiresAt"`,
    [
      mandateId,
      email,
      roleIds,
      JSON.stringify(access),
      sent.tokenHash,
      sent.isMailed,
      sent.invitedBy,
      sent.invitedAs,
      sent.days,
    ],
  )
  if (!row) throw new Error('an insert answered no row')
  return row
}

/** Gives an invitation another link, in the place of the one it had. Returns when it ends. */
export async function replaceInvitationLink(tx: Changing, id: string, sent: SentAs): Promise<Date> {
  const [row] = await tx.rows<{ expiresAt: Date }>(
    `
    update invitations
       set status = 'pending', token_hash = ?, is_mailed = ?, invited_by = ?, invited_as = ?,
           expires_at = now() + make_interval(days => ?), tries = 0
     where id = ?
    returning expires_at as "expiresAt"`,
    [sent.tokenHash, sent.isMailed, sent.invitedBy, sent.invitedAs, sent.days, id],
  )
  if (!row) throw new Error('an update answered no row')
  return row.expiresAt
}

/** Makes an invitation end in a state. */
export async function settleInvitation(
  tx: CoherentTx,
  id: string,
  state: InvitationState,
  acceptedBy: string | null = null,
): Promise<void> {
  await tx.run('update invitations set status = ?, accepted_by = ? where id = ?', [state, acceptedBy, id])
}

/** An invitation, as whoever has its link finds it. */
export interface OpenInvitation extends InvitedGrant {
  id: string
  mandateId: string
  mandateLabel: string
  mandateEnabled: boolean
  email: string
  isMailed: boolean
  invitedBy: string | null
  invitedAs: InvitedAs
  /** The name of the person who invited; null where they are gone. */
  inviter: string | null
}

const open = `i.token_hash = ? and i.status = 'pending' and i.expires_at > now()`

/** Finds the invitation of a link, as long as it is open. */
export async function findOpenInvitation(sql: Sql, tokenHash: string): Promise<OpenInvitation | undefined> {
  const [found] = await sql.rows<OpenInvitation>(
    `
    select i.id, i.mandate_id as "mandateId", m.label as "mandateLabel", m.enabled as "mandateEnabled",
           i.email, i.is_mailed as "isMailed", i.role_ids as "roleIds", i.access,
           i.invited_by as "invitedBy", i.invited_as as "invitedAs",
           coalesce(u.full_name, u.username) as inviter
      from invitations i
      join mandates m on m.id = i.mandate_id
      left join users u on u.id = i.invited_by
     where ${open}`,
    [tokenHash],
  )
  return found
}

/** As `findOpenInvitation`; the row stays as it is until the transaction ends. */
export async function lockOpenInvitation(
  tx: CoherentTx,
  tokenHash: string,
): Promise<OpenInvitation | undefined> {
  await tx.rows(`select from invitations i where ${open} for update`, [tokenHash])
  return await findOpenInvitation(tx, tokenHash)
}

/** Tries to accept an invitation in an hour. */
export const mostTries = 20

/**
 * Counts a try to accept an invitation. Returns false beyond the limit of an hour. All nodes count together.
 */
export async function countTry(sql: Sql, tokenHash: string): Promise<boolean> {
  const isFresh = `i.tries_since > now() - interval '1 hour'`
  return (
    (await sql.run(
      `
      update invitations i
         set tries = case when ${isFresh} then i.tries + 1 else 1 end,
             tries_since = case when ${isFresh} and i.tries > 0 then i.tries_since else now() end
       where ${open} and not (${isFresh} and i.tries >= ?)`,
      [tokenHash, mostTries],
    )) > 0
  )
}

/** Inserts a person who has accepted an invitation. Rejects with `conflict` where the name is taken. */
export async function insertInvitedUser(
  tx: CoherentTx,
  user: {
    username: string
    email: string
    fullName: string | null
    passwordHash: string | null
    emailConfirmed: boolean
  },
): Promise<string> {
  const [row] = await tx.rows<{ id: string }>(
    `
    insert into users (username, email, full_name, password_hash, self_made, email_confirmed)
    values (?, ?, ?, ?, true, ?)
    returning id`,
    [user.username, user.email, user.fullName, user.passwordHash, user.emailConfirmed],
  )
  if (!row) throw new Error('an insert answered no row')
  return row.id
}

/** Returns whether a user is an enabled person, and locks them so until the transaction ends. */
export async function lockPerson(tx: CoherentTx, userId: string): Promise<boolean> {
  const rows = await tx.rows(
    'select from users where id = ? and enabled and not is_service_account for share',
    [userId],
  )
  return rows.length > 0
}

/** Notes whose account the message with an invitation was about, so that it goes with the account. */
export async function noteInvited(tx: CoherentTx, tokenHash: string, userId: string): Promise<void> {
  await tx.run('update messages set user_id = ? where link_hash = ?', [userId, tokenHash])
}
