import { allOf, where, type Page, type Positioned } from '../database/conditions.js'
import type { Sql, Tx } from '../database/connect.js'
import type { MessageKind, MessageState } from './message.js'

/** A message as it is stored first. */
export interface MessageRow {
  id: string
  kind: MessageKind
  recipient: string
  userId: string | null
  mandateId: string | null
  payload: string
  linkHash: string | null
  expiresAt: Date | null
}

/** Writes a message, to be sent at once. */
export async function insertMessage(tx: Tx, row: MessageRow): Promise<void> {
  await tx.run(
    `
    insert into messages (id, kind, recipient, user_id, mandate_id, payload, link_hash, expires_at)
    values (?, ?, ?, ?, ?, ?, ?, ?)`,
    [row.id, row.kind, row.recipient, row.userId, row.mandateId, row.payload, row.linkHash, row.expiresAt],
  )
}

/** What messages are counted by. */
export interface Counted {
  kind: MessageKind
  recipient?: string
  mandateId?: string
  userId?: string
}

/** Makes writers of messages that are counted together wait for one another, until the transaction ends. */
export async function lockCount(tx: Tx, { kind, recipient, mandateId, userId }: Counted): Promise<void> {
  const key = [kind, recipient?.toLowerCase() ?? '', mandateId ?? '', userId ?? ''].join(' ')
  await tx.rows('select pg_advisory_xact_lock(hashtextextended(?, 7162060))', [key])
}

/** Counts messages of the last seconds, and says in how many seconds the oldest of them is out. */
export async function countMessages(
  tx: Tx,
  { kind, recipient, mandateId, userId }: Counted,
  seconds: number,
): Promise<{ count: number; secondsLeft: number }> {
  const { sql: condition, values } = allOf([
    ['kind = ?', kind],
    where(recipient, 'lower(recipient) = lower(?)'),
    where(mandateId, 'mandate_id = ?'),
    where(userId, 'user_id = ?'),
    ['created_at > now() - make_interval(secs => ?)', seconds],
  ])
  const [row] = await tx.rows<{ count: number; secondsLeft: number }>(
    `
    select count(*)::int as count,
           coalesce(ceil(extract(epoch from min(created_at) - now()) + ?), 1)::int as "secondsLeft"
      from messages
     where ${condition}`,
    [seconds, ...values],
  )
  return row ?? { count: 0, secondsLeft: 1 }
}

/** A message that this node sends. */
export interface ClaimedMessage {
  id: string
  kind: MessageKind
  mandateId: string | null
  payload: string | null
  /** With this one. */
  attempts: number
}

/**
 * Takes messages that are due, for so many seconds: other nodes leave them alone. A node that ends before it
 * noted what became of them leaves them to be taken again.
 */
export async function claimMessages(
  tx: Tx,
  { atMost, forSeconds }: { atMost: number; forSeconds: number },
): Promise<ClaimedMessage[]> {
  return await tx.rows<ClaimedMessage>(
    `
    update messages
       set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => ?)
     where id in (
             select id
               from messages
              where status = 'pending' and next_attempt_at <= now()
              order by next_attempt_at
              limit ?
                for update skip locked)
    returning id, kind, mandate_id as "mandateId", payload, attempts`,
    [forSeconds, atMost],
  )
}

/** Notes that a message is sent. */
export async function noteSent(tx: Tx, id: string): Promise<void> {
  await tx.run(
    `
    update messages
       set status = 'sent', status_at = now(), sent_at = now(), payload = null, last_error = null
     where id = ? and status = 'pending'`,
    [id],
  )
}

/** Notes an attempt in vain. The next one is made in so many seconds. */
export async function noteRetry(
  tx: Tx,
  { id, attempts, error, inSeconds }: { id: string; attempts: number; error: string; inSeconds: number },
): Promise<void> {
  await tx.run(
    `
    update messages
       set last_error = ?, status_at = now(), next_attempt_at = now() + make_interval(secs => ?)
     where id = ? and status = 'pending' and attempts = ?`,
    [error, inSeconds, id, attempts],
  )
}

/** A message that is given up. */
export interface FailedMessage {
  id: string
  kind: MessageKind
  mandateId: string | null
  lastError: string | null
}

const isOverdue = `expires_at <= now() or created_at <= now() - interval '1 day'`
const failed = `status = 'failed', status_at = now(), payload = null`
const returned = `returning id, kind, mandate_id as "mandateId", last_error as "lastError"`

/** Gives a message up. Returns it, if it was still pending. */
export async function noteFailed(tx: Tx, id: string, error: string): Promise<FailedMessage | undefined> {
  const [row] = await tx.rows<FailedMessage>(
    `update messages set ${failed}, last_error = ? where id = ? and status = 'pending' ${returned}`,
    [error, id],
  )
  return row
}

/** Gives up all messages whose link has expired or whose day has passed. */
export async function failOverdue(tx: Tx): Promise<FailedMessage[]> {
  return await tx.rows<FailedMessage>(
    `
    update messages
       set ${failed},
           last_error = concat_ws('; ', last_error,
             case when expires_at <= now() then 'the link expired' else 'a day passed' end)
     where id in (
             select id
               from messages
              where status = 'pending' and (${isOverdue})
              limit 100
                for update skip locked)
    ${returned}`,
  )
}

/** Counts the messages that wait to be sent, and those of them that there is something to do for now. */
export async function countPending(sql: Sql): Promise<{ pending: number; due: number }> {
  const [row] = await sql.rows<{ pending: number; due: number }>(
    `
    select count(*)::int as pending,
           (count(*) filter (where next_attempt_at <= now() or ${isOverdue}))::int as due
      from messages
     where status = 'pending'`,
  )
  return row ?? { pending: 0, due: 0 }
}

/** Deletes some messages that were settled so many days ago. */
export async function deleteOldMessages(tx: Tx, days: number): Promise<void> {
  await tx.run(
    `
    delete from messages
     where id in (
             select id
               from messages
              where status <> 'pending' and created_at < now() - make_interval(days => ?)
              limit 1000
                for update skip locked)`,
    [days],
  )
}

/** How the message with a link fared. */
export interface Delivery {
  status: MessageState
  /** RFC 3339, in UTC. */
  at: string
  error: string | null
}

/** A message as admins see it. */
export interface ListedMessage {
  id: string
  kind: MessageKind
  to: string
  mandateId: string | null
  status: MessageState
  attempts: number
  lastError: string | null
  sentAt: Date | null
}

/** What a list of messages is asked for. */
export interface MessageFilter {
  status: MessageState | undefined
  kind: MessageKind | undefined
  to: string | undefined
}

/** Lists messages, newest first. */
export async function listMessages(
  sql: Sql,
  { status, kind, to }: MessageFilter,
  { after, atMost }: Page,
): Promise<Positioned<ListedMessage>[]> {
  const { sql: condition, values } = allOf([
    where(status, 'status = ?'),
    where(kind, 'kind = ?'),
    where(to, 'lower(recipient) = lower(?)'),
    after && ['(created_at, id) < (?::timestamptz, ?::uuid)', ...after],
  ])
  return await sql.rows(
    `
    select id, kind, recipient as "to", mandate_id as "mandateId", status, attempts,
           last_error as "lastError", sent_at as "sentAt", array[created_at::text, id::text] as position
      from messages
     where ${condition}
     order by created_at desc, id desc
     limit ?`,
    [...values, atMost],
  )
}

/** Finds where messages to a user go; undefined where they have no address. */
export async function findRecipient(
  sql: Sql,
  userId: string,
): Promise<{ email: string; username: string } | undefined> {
  const [recipient] = await sql.rows<{ email: string; username: string }>(
    'select email, username from users where id = ? and email is not null',
    [userId],
  )
  return recipient
}

/** The delivery of the message `m`, as JSON. */
export const deliveryOf = `jsonb_build_object(
         'status', m.status,
         'at', to_char(m.status_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
         'error', m.last_error)`

/** Finds how the message with a link fares. */
export async function findDelivery(sql: Sql, linkHash: string): Promise<Delivery | undefined> {
  const [row] = await sql.rows<{ delivery: Delivery }>(
    `select ${deliveryOf} as delivery from messages m where m.link_hash = ?`,
    [linkHash],
  )
  return row?.delivery
}
