/**
 * Coherence: what is announced when authority changes, and which nodes have heard of it. See
 * docs/coherence.md. Triggers announce, not the application, so plain SQL by anybody is noticed too.
 */

const tables = `
create schema coherence;

create table coherence.changes (
  xid xid8 not null default pg_current_xact_id(), -- of the top level, also inside a subtransaction
  key text not null
);
create index changes_xid on coherence.changes (xid) include (key);
alter table coherence.changes set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
                                   autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000);

create table coherence.horizon (
  one bool primary key default true check (one),
  pruned xid8 not null
);
insert into coherence.horizon (pruned) values ('0');

create table coherence.nodes (
  id uuid primary key,
  lease_ms int not null check (lease_ms >= 0),
  seq bigint not null default 0,
  acked pg_snapshot not null default pg_current_snapshot(),
  address text,
  process_id int,
  started_at timestamptz not null default now(),
  renewed_at timestamptz not null default now()
) with (fillfactor = 50);

-- empty after a crash of the server: what its row said before may be said of another history now
create unlogged table coherence.boot (
  one bool primary key default true check (one),
  id uuid not null default gen_random_uuid()
);

-- which database this is: another system, timeline or boot has another history
create function coherence.identity() returns text language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select system_identifier from pg_control_system()) || '/'
      || case when pg_is_in_recovery() then 'standby' else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end || '/'
      || coalesce((select id::text from coherence.boot), 'crashed')
$$;
`

/** Each authority table: the columns that decide something, and the keys that a row's change concerns. */
const announced = [
  {
    table: 'tokens',
    columns: 'id, user_id, authority, purpose, session_id, status, expires_at',
    keys: "'token:' || id",
    inserts: false,
  },
  {
    table: 'sessions',
    columns: 'id, user_id, authority, ended_at',
    keys: "'session:' || id",
    inserts: false,
  },
  {
    table: 'users',
    columns: 'id, username, email, full_name, enabled, is_sys_admin, is_platform_admin',
    keys: "'user:' || id, 'username:' || username",
  },
  { table: 'mandates', columns: 'id, enabled', keys: "'mandate:' || id" },
  {
    table: 'user_mandates',
    columns: 'id, user_id, mandate_id, enabled',
    keys: "'membership:' || user_id || ':' || mandate_id, 'member:' || id",
  },
  { table: 'user_mandate_roles', columns: 'user_mandate_id, role_id', keys: "'member:' || user_mandate_id" },
  { table: 'feature_instances', columns: 'id, mandate_id, enabled', keys: "'instance:' || id" },
  {
    table: 'feature_access',
    columns: 'id, user_id, feature_instance_id, enabled',
    keys: "'access:' || user_id || ':' || feature_instance_id, 'accessor:' || id",
  },
  {
    table: 'feature_access_roles',
    columns: 'feature_access_id, role_id',
    keys: "'accessor:' || feature_access_id",
  },
  { table: 'roles', columns: 'id, mandate_id, feature_instance_id', keys: "'role:' || id" },
  {
    table: 'access_rules',
    columns: 'id, role_id, context, item, view, "read", "create", "update", "delete"',
    keys: "'role:' || role_id",
  },
]

/**
 * The announcement of a statement's changes: of the rows that differ in `columns`, before and after, each key
 * once; past
 * 300 keys one key, "*". Whoever announces does not get its transaction acknowledged before that is durable.
 * @param {(typeof announced)[number]} one
 */
function triggersOf({ table, columns, keys, inserts = true }) {
  const differing = `(
        (select ${columns} from old_rows except select ${columns} from new_rows) union all
        (select ${columns} from new_rows except select ${columns} from old_rows)) as differing`
  const trigger = (
    /** @type {string} */ event,
    /** @type {string} */ referencing,
    /** @type {string} */ changed,
  ) => `
    create function coherence.${table}_${event}() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
      insert into coherence.changes (key)
        with changed as materialized (${changed} limit 301)
        select key from changed where (select count(*) from changed) <= 300
        union all select '*' where (select count(*) from changed) > 300;
      if found then perform set_config('synchronous_commit', 'on', true); end if;
      return null;
    end $$;
    create trigger coherence_${event} after ${event} on public.${table} ${referencing}
      for each statement execute function coherence.${table}_${event}();
    alter table public.${table} enable always trigger coherence_${event};`
  const keysOf = (/** @type {string} */ rows) =>
    `select distinct key from ${rows} cross join lateral unnest(array[${keys}]) as key`
  return [
    trigger('update', 'referencing old table as old_rows new table as new_rows', keysOf(differing)),
    trigger('delete', 'referencing old table as old_rows', keysOf('old_rows')),
    inserts ? trigger('insert', 'referencing new table as new_rows', keysOf('new_rows')) : '',
    trigger('truncate', '', "select '*' as key"),
  ].join('\n')
}

const rights = `
revoke all on schema coherence from public;
revoke all on all functions in schema coherence from public;
grant usage on schema coherence to gateway_app;
grant select, insert, update, delete on coherence.nodes to gateway_app;
grant select, insert, delete on coherence.changes to gateway_app;
grant select, update on coherence.horizon to gateway_app;
grant select, insert on coherence.boot to gateway_app;
grant execute on function coherence.identity() to gateway_app;
`

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(tables)
  for (const one of announced) await knex.raw(triggersOf(one))
  await knex.raw(rights)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  for (const { table } of announced) {
    for (const event of ['insert', 'update', 'delete', 'truncate'])
      await knex.raw('drop trigger if exists ?? on ??', [`coherence_${event}`, table])
  }
  await knex.raw('drop schema coherence cascade')
}
