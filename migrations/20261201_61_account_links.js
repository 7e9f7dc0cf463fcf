/**
 * Links that people are mailed about their own account: to reset a password, to confirm a new address, and to
 * undo a change of it. Only hashes are stored. They decide nothing until they are used: no announcement.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table account_links (
  id uuid primary key default gen_random_uuid(),
  kind text not null check (kind in ('password_reset', 'email_confirm', 'email_undo')),
  user_id uuid not null references users on delete cascade,
  token_hash text not null unique check (token_hash ~ '^[0-9a-f]{64}$'),
  sent_to text not null, -- the address that it was mailed to
  email text, -- the address that the account gets by it
  email_confirmed boolean, -- of an undo: whether that address had been confirmed
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index account_links_user on account_links (user_id, kind);
create index account_links_expiry on account_links (expires_at);
alter table first_access_links add column sent_to text;

grant select, insert, update, delete on account_links to gateway_app;
create trigger cancel_messages after delete on account_links for each row
  execute function gateway_cancel_messages();

create or replace function gateway_withdraw_links() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from public.first_access_links where user_id = old.id;
  delete from public.account_links where user_id = old.id and kind <> 'email_undo';
  return null;
end $$;
`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(`
create or replace function gateway_withdraw_links() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from public.first_access_links where user_id = old.id;
  return null;
end $$;
alter table first_access_links drop column sent_to;
drop table account_links`)
}
