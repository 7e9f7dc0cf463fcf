import type { Sql } from '../database/connect.js'
import type { ProviderSettings } from '../domain/provider-settings.js'

/**
 * Writes the rows of the providers of `OIDC_PROVIDERS`, and marks those of the operator that are configured no
 * more. Their ids follow from the configuration, so that all nodes write the same rows. Providers of mandates
 * stay as they are.
 */
export async function saveGlobalProviders(sql: Sql, providers: readonly ProviderSettings[]): Promise<void> {
  const rows = providers.flatMap(({ id, slug, label, issuer, clientId }) =>
    id === null ? [] : [{ id, slug, label, issuer, client_id: clientId }],
  )
  await sql.run(
    `
    with configured as materialized (
      select *
        from jsonb_to_recordset(?::jsonb)
          as row (id uuid, slug text, label text, issuer text, client_id text)
    ), removed as (
      update identity_providers p
         set enabled = false
       where p.mandate_id is null and p.enabled and p.id not in (select id from configured)
    )
    insert into identity_providers as p (id, slug, label, issuer, client_id, enabled)
    select id, slug, label, issuer, client_id, true
      from configured
    on conflict (id) do update
       set label = excluded.label, enabled = true
     where p.label <> excluded.label or not p.enabled`,
    [JSON.stringify(rows)],
  )
}
