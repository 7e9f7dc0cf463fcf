/**
 * The directory: who exists, where, and what they may do; logins; the audit; the portal's projects and links.
 */

const up_sql = `
do $$ begin
  if not exists (select from pg_roles where rolname = 'gateway_app') then
    create role gateway_app nologin nosuperuser nobypassrls;
  end if;
exception when duplicate_object or unique_violation then null; -- another database of this cluster was faster
end $$;

-- so that a login which migrates and serves can become gateway_app; where it may not say so, somebody else must have
do $$ begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant gateway_app to %I', current_user);
  end if;
exception when insufficient_privilege or invalid_grant_operation then null;
end $$;

create function gateway_touch() returns trigger language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end $$;

create table users (
  id uuid primary key default gen_random_uuid(),
  username text not null unique check (username = lower(username) and length(username) between 1 and 256),
  email text,
  full_name text,
  password_hash text,
  enabled boolean not null default true,
  is_sys_admin boolean not null default false,
  is_platform_admin boolean not null default false,
  is_service_account boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index users_email on users (lower(email));

create table mandates (
  id uuid primary key default gen_random_uuid(),
  slug text not null unique check (length(slug) between 1 and 100),
  label text not null,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table features (
  code text primary key check (length(code) between 1 and 100),
  label text not null
);

create table feature_instances (
  id uuid primary key default gen_random_uuid(),
  mandate_id uuid not null references mandates on delete cascade,
  feature_code text not null references features,
  label text not null,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index feature_instances_mandate on feature_instances (mandate_id);
create index feature_instances_feature on feature_instances (feature_code);

create table roles (
  id uuid primary key default gen_random_uuid(),
  mandate_id uuid references mandates on delete cascade,
  feature_instance_id uuid references feature_instances on delete cascade,
  label text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index roles_mandate on roles (mandate_id);
create index roles_instance on roles (feature_instance_id);

create table access_rules (
  id uuid primary key default gen_random_uuid(),
  role_id uuid not null references roles on delete cascade,
  context text not null check (context in ('DATA', 'UI', 'RESOURCE')),
  item text check (item <> ''),
  view boolean not null default false,
  "read" text not null default 'n' check ("read" in ('n', 'm', 'g', 'a')),
  "create" text not null default 'n' check ("create" in ('n', 'm', 'g', 'a')),
  "update" text not null default 'n' check ("update" in ('n', 'm', 'g', 'a')),
  "delete" text not null default 'n' check ("delete" in ('n', 'm', 'g', 'a')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
-- one rule for (role, context, item), "all items" included; NULLS NOT DISTINCT would need Postgres 15
create unique index access_rules_subject on access_rules (role_id, context, coalesce(item, ''));

create table user_mandates (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  mandate_id uuid not null references mandates on delete cascade,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_id, mandate_id)
);
create index user_mandates_mandate on user_mandates (mandate_id);

create table user_mandate_roles (
  user_mandate_id uuid not null references user_mandates on delete cascade,
  role_id uuid not null references roles on delete cascade,
  primary key (user_mandate_id, role_id)
);
create index user_mandate_roles_role on user_mandate_roles (role_id);

create table feature_access (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  feature_instance_id uuid not null references feature_instances on delete cascade,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_id, feature_instance_id)
);
create index feature_access_instance on feature_access (feature_instance_id);

create table feature_access_roles (
  feature_access_id uuid not null references feature_access on delete cascade,
  role_id uuid not null references roles on delete cascade,
  primary key (feature_access_id, role_id)
);
create index feature_access_roles_role on feature_access_roles (role_id);

create table sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  authority text not null check (authority in ('local', 'google', 'msft')),
  ended_at timestamptz,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  address text,
  user_agent text
);
create index sessions_user on sessions (user_id, created_at desc);

create table tokens (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  authority text not null check (authority in ('local', 'google', 'msft')),
  purpose text not null default 'auth_session' check (purpose in ('auth_session', 'api_token', 'data_connection')),
  session_id uuid references sessions on delete cascade,
  status text not null default 'active' check (status in ('active', 'revoked')),
  issued_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  label text
);
create index tokens_user on tokens (user_id);
create index tokens_session on tokens (session_id);
create index tokens_expiry on tokens (expires_at);

-- no foreign keys: what was done is remembered when who did it, and where, is gone
create table audit_events (
  seq bigint generated always as identity primary key,
  occurred_at timestamptz not null default now(),
  user_id uuid,
  mandate_id text,
  action text not null,
  details jsonb not null default '{}',
  request_id text
);
create index audit_events_mandate on audit_events (mandate_id, seq);
create index audit_events_user on audit_events (user_id, seq);
create index audit_events_time on audit_events (occurred_at);

create table portal_clients (
  id uuid primary key default gen_random_uuid(),
  mandate_id uuid not null references mandates on delete cascade,
  name text not null,
  slug text not null check (length(slug) between 1 and 100),
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (mandate_id, slug)
);

create table projects (
  id uuid primary key default gen_random_uuid(),
  mandate_id uuid not null references mandates on delete cascade,
  name text not null,
  client_name text,
  client_id uuid references portal_clients on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index projects_mandate on projects (mandate_id);
create index projects_client on projects (client_id);

create table portal_access_tokens (
  id uuid primary key default gen_random_uuid(),
  client_id uuid not null references portal_clients on delete cascade,
  token_hash text not null unique check (token_hash ~ '^[0-9a-f]{64}$'),
  label text,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
create index portal_access_tokens_client on portal_access_tokens (client_id);
`

/** Tables with an `updated_at` of their own. */
const touched = [
  'users',
  'mandates',
  'feature_instances',
  'roles',
  'access_rules',
  'user_mandates',
  'feature_access',
  'portal_clients',
  'projects',
]

const writable = [
  ...touched,
  'features',
  'user_mandate_roles',
  'feature_access_roles',
  'sessions',
  'tokens',
  'portal_access_tokens',
]

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(up_sql)
  for (const table of touched) {
    await knex.raw('create trigger touch before update on ?? for each row execute function gateway_touch()', [
      table,
    ])
  }
  await knex.raw('grant usage on schema public to gateway_app')
  for (const table of writable)
    await knex.raw('grant select, insert, update, delete on ?? to gateway_app', [table])
  await knex.raw('grant select, insert on audit_events to gateway_app')
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  const tables = [
    'portal_access_tokens',
    'projects',
    'portal_clients',
    'audit_events',
    'tokens',
    'sessions',
    'feature_access_roles',
    'feature_access',
    'user_mandate_roles',
    'user_mandates',
    'access_rules',
    'roles',
    'feature_instances',
    'features',
    'mandates',
    'users',
  ]
  for (const table of tables) await knex.raw('drop table ??', [table])
  await knex.raw('drop function gateway_touch()')
  // The role stays: it belongs to the cluster, and other databases of it may use it.
  await knex.raw('revoke usage on schema public from gateway_app')
}
