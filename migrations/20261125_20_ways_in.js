/**
 * Ways in beside a password: identities at Google and Microsoft, credentials of service accounts, one-time
 * links to a first password; and the keys of access tokens, of which one can be retired on all nodes at once.
 * See docs/sign-in.md, docs/service-accounts.md, docs/keys.md.
 */

const up_sql = `
create table user_identities (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  authority text not null check (authority in ('google', 'msft')),
  issuer text not null,
  subject text not null,
  email text, -- as the authority said when it was linked: to be shown, never to decide by
  linked_at timestamptz not null default now(),
  last_used_at timestamptz,
  unique (authority, issuer, subject)
);
create index user_identities_user on user_identities (user_id);

create table service_secrets (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  label text not null,
  secret_hash text not null unique check (secret_hash ~ '^[0-9a-f]{64}$'),
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  expires_at timestamptz
);
create index service_secrets_user on service_secrets (user_id, created_at);

create table service_keys (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  label text not null,
  kid text not null, -- the thumbprint of the key (RFC 7638)
  algorithm text not null,
  public_jwk jsonb not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  expires_at timestamptz,
  unique (user_id, kid)
);
create index service_keys_user on service_keys (user_id, created_at);

-- assertions (RFC 7523) that have been used, as long as they could be used again
create table used_assertions (
  user_id uuid not null references users on delete cascade,
  jti_hash text not null,
  expires_at timestamptz not null,
  primary key (user_id, jti_hash)
);
create index used_assertions_expiry on used_assertions (expires_at);

create table first_access_links (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  token_hash text not null unique check (token_hash ~ '^[0-9a-f]{64}$'),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index first_access_links_user on first_access_links (user_id);

create table token_keys (
  kid text primary key,
  algorithm text not null,
  first_seen_at timestamptz not null default now(),
  retired_at timestamptz
);

alter table tokens add column last_used_at timestamptz;
create index tokens_api on tokens (user_id, issued_at) where purpose = 'api_token';
`

/**
 * As in the migration of coherence: triggers announce, so that plain SQL is noticed too. A key that a node
 * sees for the first time concerns no token.
 */
const announce_sql = `
create function coherence.token_keys_update() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into coherence.changes (key)
    select distinct 'key:' || kid from (
      (select kid, retired_at from old_rows except select kid, retired_at from new_rows) union all
      (select kid, retired_at from new_rows except select kid, retired_at from old_rows)) as differing;
  if found then perform set_config('synchronous_commit', 'on', true); end if;
  return null;
end $$;
create trigger coherence_update after update on public.token_keys referencing old table as old_rows new table as new_rows
  for each statement execute function coherence.token_keys_update();

create function coherence.token_keys_insert() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into coherence.changes (key) select distinct 'key:' || kid from new_rows where retired_at is not null;
  if found then perform set_config('synchronous_commit', 'on', true); end if;
  return null;
end $$;
create trigger coherence_insert after insert on public.token_keys referencing new table as new_rows
  for each statement execute function coherence.token_keys_insert();

create function coherence.token_keys_gone() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into coherence.changes (key) values ('*');
  return null;
end $$;
create trigger coherence_delete after delete on public.token_keys for each statement execute function coherence.token_keys_gone();
create trigger coherence_truncate after truncate on public.token_keys for each statement execute function coherence.token_keys_gone();
`

const tables = [
  'user_identities',
  'service_secrets',
  'service_keys',
  'used_assertions',
  'first_access_links',
  'token_keys',
]

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(up_sql)
  await knex.raw(announce_sql)
  for (const event of ['insert', 'update', 'delete', 'truncate'])
    await knex.raw('alter table token_keys enable always trigger ??', [`coherence_${event}`])
  await knex.raw(
    'revoke all on function coherence.token_keys_insert(), coherence.token_keys_update(), coherence.token_keys_gone() from public',
  )
  for (const table of tables)
    await knex.raw('grant select, insert, update, delete on ?? to gateway_app', [table])
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop index tokens_api')
  await knex.raw('alter table tokens drop column last_used_at')
  for (const table of tables) await knex.raw('drop table ??', [table])
  await knex.raw(
    'drop function coherence.token_keys_insert(), coherence.token_keys_update(), coherence.token_keys_gone()',
  )
}
