import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { MandateTx } from '../database/mandate.js'

/** What a preview needs to know of a client. */
export interface PreviewClient {
  id: string
  active: boolean
}

/** The client with that id, locked, so that two previews of its projects come in turn. */
export async function lockClient(tx: MandateTx, id: string): Promise<PreviewClient | undefined> {
  const [client] = await tx.rows<PreviewClient>(
    'select id, active from portal_clients where id = ? for update',
    [id],
  )
  return client
}

/**
 * Makes the client with that slug the project's preview, active and under that name; there is one when this
 * answers. Undefined where the slug belongs to another project's preview.
 */
export async function upsertPreviewClient(
  tx: CoherentTx & MandateTx,
  { projectId, slug, name }: { projectId: string; slug: string; name: string },
): Promise<PreviewClient | undefined> {
  await tx.run(
    `
    insert into portal_clients (mandate_id, name, slug, preview_project_id) values (gateway_mandate(), ?, ?, ?)
    on conflict (mandate_id, slug) do nothing`,
    [name, slug, projectId],
  )
  const [client] = await tx.rows<PreviewClient>(
    `
    select id, active from portal_clients c
     where slug = ? and mandate_id = gateway_mandate() and coalesce(preview_project_id, ?::uuid) = ?::uuid
       and not exists (select from projects p where p.client_id = c.id and p.id <> ?::uuid)
       for update`,
    [slug, projectId, projectId, projectId],
  )
  if (!client) return undefined
  await tx.run(
    'update portal_clients set active = true, name = ?, preview_project_id = ? where id = ? and (active, name, preview_project_id) is distinct from (true, ?, ?::uuid)',
    [name, projectId, client.id, name, projectId],
  )
  return client
}

/** Links a project that has no client to one. */
export async function linkProject(
  tx: CoherentTx & MandateTx,
  projectId: string,
  clientId: string,
): Promise<void> {
  await tx.run('update projects set client_id = ? where id = ? and client_id is null', [clientId, projectId])
}

/** The client's link with that label that still counts, used now; the oldest, if there are several. */
export async function usePreviewLink(
  tx: MandateTx,
  clientId: string,
  label: string,
): Promise<string | undefined> {
  const [link] = await tx.rows<{ id: string }>(
    `
    update portal_access_tokens set last_used_at = now()
     where id = (select id from portal_access_tokens
                  where client_id = ? and label = ? and revoked_at is null and (expires_at is null or expires_at > now())
                  order by created_at, id limit 1)
    returning id`,
    [clientId, label],
  )
  return link?.id
}
