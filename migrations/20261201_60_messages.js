/**
 * The outbox: messages to people, each written with what it reports, and sent afterwards by one node. Its text
 * is sealed, and null once it is sent or given up. Announces nothing: no decision depends on a message.
 */

const own = '(select gateway_mandate()) is null or mandate_id = gateway_mandate()'

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table messages (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  recipient text not null, -- an address
  user_id uuid references users on delete cascade, -- the account that it is about
  mandate_id uuid references mandates on delete cascade,
  status text not null default 'pending' check (status in ('pending', 'sent', 'failed', 'cancelled')),
  status_at timestamptz not null default now(),
  payload text, -- sealed with SECRET_KEY
  link_hash text, -- of the link that it holds, as the link's own row stores it
  attempts integer not null default 0,
  last_error text,
  next_attempt_at timestamptz not null default now(),
  expires_at timestamptz, -- of the link
  created_at timestamptz not null default now(),
  sent_at timestamptz
);
create index messages_due on messages (next_attempt_at) where status = 'pending';
create index messages_link on messages (link_hash) where link_hash is not null;
create index messages_counted on messages (kind, lower(recipient), created_at);
create index messages_listed on messages (created_at desc, id desc);
create index messages_user on messages (user_id) where user_id is not null;
create index messages_mandate on messages (mandate_id, kind, created_at) where mandate_id is not null;

grant select, insert, update, delete on messages to gateway_app;

-- A link that is gone or has another token: its message must not arrive any more.
create function gateway_cancel_messages() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.messages set status = 'cancelled', status_at = now(), payload = null
   where link_hash = old.token_hash and status = 'pending';
  return null;
end $$;
revoke all on function gateway_cancel_messages() from public;
create trigger cancel_messages after delete on first_access_links for each row
  execute function gateway_cancel_messages();
`)
  await knex.raw(`
alter table messages enable row level security;
alter table messages force row level security;
create policy whoever on messages using (true) with check (true);
create policy mandate_sees on messages as restrictive for select using (${own});
create policy mandate_inserts on messages as restrictive for insert with check (${own});
create policy mandate_updates on messages as restrictive for update using (${own}) with check (${own});
create policy mandate_deletes on messages as restrictive for delete using (${own})`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(`
drop trigger cancel_messages on first_access_links;
drop function gateway_cancel_messages();
drop table messages`)
}
