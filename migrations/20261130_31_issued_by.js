/**
 * Who made what others are let in by: links to a first password, secrets, keys, tokens and accounts of
 * programs. What an admin made and is not used yet ends with their level, their account or its being enabled;
 * so do credentials of programs that hold a platform level. By triggers: plain SQL and older versions demote
 * people, too. No foreign keys: who made something is remembered when they are gone. Null: the command line,
 * or a time before this.
 */

const columns = `
alter table first_access_links add column issued_by uuid;
create index first_access_links_issuer on first_access_links (issued_by) where issued_by is not null;
create index first_access_links_created on first_access_links (created_at desc, id desc);
alter table service_secrets add column created_by uuid;
create index service_secrets_maker on service_secrets (created_by) where created_by is not null;
alter table service_keys add column created_by uuid;
create index service_keys_maker on service_keys (created_by) where created_by is not null;
alter table tokens add column created_by uuid;
create index tokens_maker on tokens (created_by) where created_by is not null;
alter table users add column created_by uuid;
create index users_maker on users (created_by) where created_by is not null;
`

const withdrawal = `
create function gateway_withdraw_issued() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from public.first_access_links where issued_by = old.id;
  if not old.is_sys_admin and not old.is_platform_admin then return null; end if;
  update public.tokens t set status = 'revoked', revoked_at = now()
    from public.users u
   where u.id = t.user_id and u.is_service_account and (u.is_sys_admin or u.is_platform_admin) and t.status = 'active' and t.session_id is null
     and (t.created_by = old.id
       or exists (select from public.service_secrets s where s.user_id = u.id and s.created_by = old.id and t.label = 'secret:' || s.id)
       or exists (select from public.service_keys k where k.user_id = u.id and k.created_by = old.id and t.label = 'key:' || k.id));
  delete from public.service_secrets s using public.users u where u.id = s.user_id and s.created_by = old.id and (u.is_sys_admin or u.is_platform_admin);
  delete from public.service_keys k using public.users u where u.id = k.user_id and k.created_by = old.id and (u.is_sys_admin or u.is_platform_admin);
  return null;
end $$;
revoke all on function gateway_withdraw_issued() from public;
create trigger withdraw_issued after update of enabled, is_sys_admin, is_platform_admin on users for each row
  when (old.enabled and not new.enabled or old.is_sys_admin and not new.is_sys_admin or old.is_platform_admin and not new.is_platform_admin)
  execute function gateway_withdraw_issued();
create trigger withdraw_issued_gone after delete on users for each row execute function gateway_withdraw_issued();

create function gateway_withdraw_links() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from public.first_access_links where user_id = old.id;
  return null;
end $$;
revoke all on function gateway_withdraw_links() from public;
create trigger withdraw_links after update of enabled on users for each row when (old.enabled and not new.enabled) execute function gateway_withdraw_links();
`

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(columns)
  await knex.raw(withdrawal)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  for (const trigger of ['withdraw_issued', 'withdraw_issued_gone', 'withdraw_links'])
    await knex.raw(`drop trigger ${trigger} on users`)
  await knex.raw('drop function gateway_withdraw_issued(); drop function gateway_withdraw_links()')
  await knex.raw(
    'alter table first_access_links drop column issued_by; drop index first_access_links_created',
  )
  for (const table of ['service_secrets', 'service_keys', 'tokens', 'users'])
    await knex.raw('alter table ?? drop column created_by', [table])
}
