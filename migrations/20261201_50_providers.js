/**
 * Sign-in providers as rows: which OpenID provider an identity and a session are of. Providers of
 * `OIDC_PROVIDERS` have no mandate. The checks on `authority` say its form and list no names any more, so that
 * a new authority needs no migration. See docs/sign-in.md.
 */

const authorityTables = ['sessions', 'tokens', 'user_identities']

const up_sql = `
create table identity_providers (
  id uuid primary key default gen_random_uuid(),
  mandate_id uuid references mandates on delete cascade, -- null: the operator's, for everybody
  slug text not null check (slug ~ '^[a-z][a-z0-9-]{0,39}$'),
  label text not null,
  kind text not null default 'oidc' check (kind = 'oidc'),
  issuer text not null,
  client_id text not null,
  enabled boolean not null default false,
  created_at timestamptz not null default now()
);
create unique index identity_providers_slug on identity_providers (mandate_id, slug);
-- under one slug an operator may change issuer or client: that is another provider, with other subjects
create unique index identity_providers_global on identity_providers (slug, issuer, client_id)
  where mandate_id is null;

alter table sessions add column provider_id uuid references identity_providers on delete set null;

-- Null in issuer: the provider's row has it. An older version finds and makes identities with an issuer only.
alter table user_identities
  add column provider_id uuid references identity_providers on delete cascade,
  alter column issuer drop not null,
  add constraint user_identities_source check (issuer is not null or provider_id is not null) not valid;
create unique index user_identities_provider on user_identities (provider_id, subject);

grant select, insert, update, delete on identity_providers to gateway_app;

alter table identity_providers enable row level security;
alter table identity_providers force row level security;
create policy whoever on identity_providers using (true) with check (true);
`

const own = 'mandate_id = gateway_mandate()'
const policies = [
  ['mandate_sees', 'select', `using ((select gateway_mandate()) is null or ${own} or mandate_id is null)`],
  ['mandate_inserts', 'insert', `with check ((select gateway_mandate()) is null or ${own})`],
  ['mandate_updates', 'update', `using ((select gateway_mandate()) is null or ${own})`],
  ['mandate_deletes', 'delete', `using ((select gateway_mandate()) is null or ${own})`],
]

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(up_sql)
  for (const [name, action, condition] of policies)
    await knex.raw(`create policy ${name} on identity_providers as restrictive for ${action} ${condition}`)
  for (const table of authorityTables)
    await knex.raw(`
alter table ${table}
  drop constraint ${table}_authority_check,
  add constraint ${table}_authority_check check (authority ~ '^[a-z][a-z0-9_]{0,62}$') not valid`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  for (const table of authorityTables) {
    const names = table === 'user_identities' ? "'google', 'msft'" : "'local', 'google', 'msft'"
    await knex.raw(`
delete from ${table} where authority not in (${names});
alter table ${table}
  drop constraint ${table}_authority_check,
  add constraint ${table}_authority_check check (authority in (${names}))`)
  }
  await knex.raw(`
drop index user_identities_provider;
delete from user_identities where issuer is null;
alter table user_identities
  drop constraint user_identities_source,
  alter column issuer set not null,
  drop column provider_id;
alter table sessions drop column provider_id;
drop table identity_providers`)
}
