/**
 * What an import has written: for each row a digest of each column that an import may change. A column that
 * still has this digest was not changed here since, so that the next import may change it; a row that is not
 * there any more was deleted here, and is not made again. No foreign keys: it outlives its rows. Of a user
 * who is deleted only the id stays.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table imported_rows (
  kind text not null,
  key text not null,
  columns jsonb not null,
  imported_at timestamptz not null default now(),
  primary key (kind, key)
);
grant select, insert, update, delete on imported_rows to gateway_app;

create function gateway_forget_imported_user() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.imported_rows set columns = '{}' where kind = 'users' and key = old.id::text;
  return null;
end $$;
revoke all on function gateway_forget_imported_user() from public;
create trigger forget_imported after delete on users for each row execute function gateway_forget_imported_user();
`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(
    'drop trigger forget_imported on users; drop function gateway_forget_imported_user(); drop table imported_rows',
  )
}
