import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { MandateTx } from '../database/mandate.js'
import type { Position } from './position.js'

/** A client of the portal, as those who run it see one. */
export interface Client {
  id: string
  name: string
  slug: string
  active: boolean
  /** True for one that a preview made. */
  isPreview: boolean
  createdAt: Date
  updatedAt: Date
}

/** What can be said of a client. */
export type ClientValues = Pick<Client, 'name' | 'slug' | 'active'>

const columns =
  'id, name, slug, active, preview_project_id is not null as "isPreview", created_at as "createdAt", updated_at as "updatedAt"'

/** Clients by name, those after `after` only. */
export async function listClients(
  tx: MandateTx,
  { after, atMost }: { after: Position | undefined; atMost: number },
): Promise<Client[]> {
  return await tx.rows<Client>(
    `select ${columns} from portal_clients where (name, id) > (?, ?::uuid) order by name, id limit ?`,
    [after?.by ?? '', after?.id ?? '00000000-0000-0000-0000-000000000000', atMost],
  )
}

/** The client with that id. */
export async function findClient(tx: MandateTx, id: string): Promise<Client | undefined> {
  const [client] = await tx.rows<Client>(`select ${columns} from portal_clients where id = ?`, [id])
  return client
}

/** The client with that id, which stays as it is until the transaction ends. */
export async function findClientForUpdate(tx: MandateTx, id: string): Promise<Client | undefined> {
  const [client] = await tx.rows<Client>(`select ${columns} from portal_clients where id = ? for update`, [
    id,
  ])
  return client
}

/** Adds a client to the mandate that was entered. Undefined where the slug is taken. */
export async function insertClient(
  tx: MandateTx,
  { name, slug, active }: ClientValues,
): Promise<Client | undefined> {
  const [client] = await tx.rows<Client>(
    `
    insert into portal_clients (mandate_id, name, slug, active) values (gateway_mandate(), ?, ?, ?)
    on conflict (mandate_id, slug) do nothing returning ${columns}`,
    [name, slug, active],
  )
  return client
}

/** Says these things of a client. */
export async function updateClient(
  tx: CoherentTx & MandateTx,
  id: string,
  { name, slug, active }: ClientValues,
): Promise<Client | undefined> {
  const [client] = await tx.rows<Client>(
    `update portal_clients set name = ?, slug = ?, active = ? where id = ? returning ${columns}`,
    [name, slug, active, id],
  )
  return client
}

/**
 * Locks the projects of a client in one order: they lose it when it is removed. A preview locks its project
 * first, too.
 */
export async function lockProjectsOfClient(tx: MandateTx, id: string): Promise<void> {
  await tx.rows('select id from projects where client_id = ? order by id for update', [id])
}

/** Removes a client, with the links; projects are left without. */
export async function deleteClient(tx: CoherentTx & MandateTx, id: string): Promise<void> {
  await tx.run('delete from portal_clients where id = ?', [id])
}
