import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Tx } from '../database/connect.js'
import type { MandateTx } from '../database/mandate.js'
import type { Position } from './position.js'

/** A link of a client, without its secret, which nobody has but who was given it. */
export interface Link {
  id: string
  label: string | null
  createdAt: Date
  expiresAt: Date | null
  revokedAt: Date | null
  lastUsedAt: Date | null
}

/** What can be said of a link. */
export type LinkValues = Pick<Link, 'label' | 'expiresAt'>

/** An end that never comes (`infinity`) is shown as none. */
const columns = `id, label, created_at as "createdAt", case when isfinite(expires_at) then expires_at end as "expiresAt", revoked_at as "revokedAt", last_used_at as "lastUsedAt"`

/** A client's links, the newest first, those after `after` only. */
export async function listLinks(
  tx: MandateTx,
  clientId: string,
  { after, atMost }: { after: Position | undefined; atMost: number },
): Promise<Link[]> {
  return await tx.rows<Link>(
    `
    select ${columns} from portal_access_tokens
     where client_id = ? and (date_trunc('milliseconds', created_at), id) < (?::timestamptz, ?::uuid)
     order by date_trunc('milliseconds', created_at) desc, id desc limit ?`,
    [clientId, after?.by ?? 'infinity', after?.id ?? '00000000-0000-0000-0000-000000000000', atMost],
  )
}

/** The link with that id, of that client. */
export async function findLink(tx: MandateTx, clientId: string, id: string): Promise<Link | undefined> {
  const [link] = await tx.rows<Link>(
    `select ${columns} from portal_access_tokens where id = ? and client_id = ?`,
    [id, clientId],
  )
  return link
}

/** As `findLink`; it stays as it is until the transaction ends. */
export async function findLinkForUpdate(
  tx: MandateTx,
  clientId: string,
  id: string,
): Promise<Link | undefined> {
  const [link] = await tx.rows<Link>(
    `select ${columns} from portal_access_tokens where id = ? and client_id = ? for update`,
    [id, clientId],
  )
  return link
}

/** Adds a link, of whose token the SHA-256 is stored. */
export async function insertLink(
  tx: MandateTx,
  clientId: string,
  { tokenHash, label, expiresAt }: LinkValues & { tokenHash: string },
): Promise<Link> {
  const [link] = await tx.rows<Link>(
    `insert into portal_access_tokens (client_id, token_hash, label, expires_at) values (?, ?, ?, ?) returning ${columns}`,
    [clientId, tokenHash, label, expiresAt],
  )
  if (!link) throw new Error('an insert answered no row')
  return link
}

/** Says these things of a link. */
export async function updateLink(
  tx: CoherentTx & MandateTx,
  id: string,
  { label, expiresAt }: LinkValues,
): Promise<Link | undefined> {
  const [link] = await tx.rows<Link>(
    `update portal_access_tokens set label = ?, expires_at = ? where id = ? returning ${columns}`,
    [label, expiresAt, id],
  )
  return link
}

/** Revokes a link, also one that already was. */
export async function revokeLink(tx: CoherentTx & MandateTx, id: string): Promise<Link | undefined> {
  const [link] = await tx.rows<Link>(
    `update portal_access_tokens set revoked_at = coalesce(revoked_at, now()) where id = ? returning ${columns}`,
    [id],
  )
  return link
}

/** A link that somebody has just opened. */
export interface OpenedLink {
  id: string
  clientId: string
  mandateId: string
}

/**
 * Notes the use of the link whose token has this hash. Undefined where it may not be used, whatever the
 * reason: one statement asks for all of them, so that they take the same time.
 */
export async function useLink(tx: Tx, tokenHash: string): Promise<OpenedLink | undefined> {
  const [link] = await tx.rows<OpenedLink>(
    `
    update portal_access_tokens t set last_used_at = now()
      from portal_clients c, mandates m
     where t.token_hash = ? and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
       and c.id = t.client_id and c.active and m.id = c.mandate_id and m.enabled
    returning t.id, c.id as "clientId", m.id as "mandateId"`,
    [tokenHash],
  )
  return link
}
