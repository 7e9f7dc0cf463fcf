/**
 * What mandates, and the operators' areas, ask of a session and of an address. Every change is announced by
 * `policy:<mandate>` or `policy:<area>`; service accounts pass, so that users' `is_service_account` decides and
 * is announced, too.
 */

const tables = `
create table mandate_policies (
  mandate_id uuid primary key references mandates on delete cascade,
  factor text check (factor in ('mfa', 'phr')),
  max_age integer, -- seconds, as all that follow
  idle integer,
  session_age integer,
  addresses text[] not null default '{}',
  items jsonb not null default '[]' check (jsonb_typeof(items) = 'array')
);
create table platform_policies (
  area text primary key check (area in ('admin', 'system')),
  factor text check (factor in ('mfa', 'phr')),
  max_age integer,
  addresses text[] not null default '{}'
);
grant select, insert, update, delete on mandate_policies, platform_policies to gateway_app;

alter table mandate_policies enable row level security;
alter table mandate_policies force row level security;
create policy whoever on mandate_policies using (true) with check (true);
create policy mandate_sees on mandate_policies as restrictive for select
  using ((select gateway_mandate()) is null or mandate_id = gateway_mandate());
create policy mandate_inserts on mandate_policies as restrictive for insert
  with check ((select gateway_mandate()) is null or mandate_id = gateway_mandate());
create policy mandate_updates on mandate_policies as restrictive for update
  using ((select gateway_mandate()) is null or mandate_id = gateway_mandate())
  with check ((select gateway_mandate()) is null or mandate_id = gateway_mandate());
create policy mandate_deletes on mandate_policies as restrictive for delete
  using ((select gateway_mandate()) is null or mandate_id = gateway_mandate());
`

/** Each table: its columns, and the key that a row's change concerns. */
const announced = [
  {
    table: 'mandate_policies',
    columns: 'mandate_id, factor, max_age, idle, session_age, addresses, items',
    key: "'policy:' || mandate_id",
  },
  { table: 'platform_policies', columns: 'area, factor, max_age, addresses', key: "'policy:' || area" },
]

const events = ['update', 'delete', 'insert', 'truncate']

/**
 * The announcement of a statement's changes, as of the tables before these.
 * @param {(typeof announced)[number]} one
 */
function triggersOf({ table, columns, key }) {
  const differing = `
             (select ${columns} from old_rows except select ${columns} from new_rows)
              union all
             (select ${columns} from new_rows except select ${columns} from old_rows)`
  const changes = {
    update: ['referencing old table as old_rows new table as new_rows', differing],
    delete: ['referencing old table as old_rows', `select ${columns} from old_rows`],
    insert: ['referencing new table as new_rows', `select ${columns} from new_rows`],
  }
  const trigger = (
    /** @type {string} */ event,
    /** @type {string} */ referencing,
    /** @type {string} */ keys,
  ) => `
    create function coherence.${table}_${event}() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
      insert into coherence.changes (key) ${keys};
      if found then perform set_config('synchronous_commit', 'on', true); end if;
      return null;
    end $$;
    revoke all on function coherence.${table}_${event}() from public;
    create trigger coherence_${event} after ${event} on public.${table} ${referencing}
      for each statement execute function coherence.${table}_${event}();
    alter table public.${table} enable always trigger coherence_${event};`
  return [
    ...Object.entries(changes).map(([event, [referencing = '', rows = '']]) =>
      trigger(
        event,
        referencing,
        `
        with concerned as materialized (select distinct ${key} as key from (${rows}) as changed limit 20001)
        select key from concerned where (select count(*) from concerned) <= 20000
        union all
        select '*' where (select count(*) from concerned) > 20000`,
      ),
    ),
    trigger('truncate', '', "select '*'"),
  ].join('\n')
}

/** Users, as 20261130_30_announce_in_groups.js announces them, with one more column. */
const users = `
create or replace function coherence.users_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into coherence.changes (key)
    with changed as (
           (select id, username, email, full_name, enabled, is_sys_admin, is_platform_admin, is_service_account
              from old_rows
            except
            select id, username, email, full_name, enabled, is_sys_admin, is_platform_admin, is_service_account
              from new_rows)
            union all
           (select id, username, email, full_name, enabled, is_sys_admin, is_platform_admin, is_service_account
              from new_rows
            except
            select id, username, email, full_name, enabled, is_sys_admin, is_platform_admin, is_service_account
              from old_rows)
         ),
         concerned as materialized (
           select distinct key
             from changed
            cross join lateral unnest(array['user:' || id, 'username:' || username]) as key
            limit 20001
         )
    select key from concerned where (select count(*) from concerned) <= 20000
    union all
    select '*' where (select count(*) from concerned) > 20000;
  if found then perform set_config('synchronous_commit', 'on', true); end if;
  return null;
end $$;`

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(tables)
  for (const one of announced) await knex.raw(triggersOf(one))
  await knex.raw(users)
}

/**
 * The function of users goes with the schema, which an earlier migration takes away.
 * @param {import('knex').Knex} knex
 */
export async function down(knex) {
  for (const { table } of announced) {
    await knex.raw(`drop table ${table}`)
    for (const event of events) await knex.raw(`drop function coherence.${table}_${event}()`)
  }
}
