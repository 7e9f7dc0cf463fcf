/**
 * Invitations to mandates, for people with an account and without. Only the hash of a link is stored. They
 * decide nothing until they are accepted: no announcement.
 */

const own = '(select gateway_mandate()) is null or mandate_id = gateway_mandate()'

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table invitations (
  id uuid primary key default gen_random_uuid(),
  mandate_id uuid not null references mandates on delete cascade,
  email text not null,
  role_ids uuid[] not null default '{}',
  access jsonb not null default '[]', -- [{instanceId, roleIds}]
  status text not null default 'pending' check (status in ('pending', 'accepted', 'revoked', 'expired', 'void')),
  token_hash text not null unique check (token_hash ~ '^[0-9a-f]{64}$'),
  is_mailed boolean not null, -- whether nobody but the invited address got the link
  invited_by uuid, -- no foreign key: remembered when they are gone
  invited_as text not null check (invited_as in ('mandate', 'platform')), -- by the mandate's rules, or as a platform admin
  accepted_by uuid references users on delete cascade,
  tries integer not null default 0, -- to accept it, in the hour since
  tries_since timestamptz not null default now(),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create unique index invitations_pending on invitations (mandate_id, lower(email)) where status = 'pending';
create index invitations_listed on invitations (mandate_id, created_at desc, id desc);
create index invitations_accepted on invitations (accepted_by) where accepted_by is not null;
create index invitations_expiry on invitations (expires_at);

grant select, insert, update, delete on invitations to gateway_app;

create trigger cancel_messages after delete on invitations for each row
  execute function gateway_cancel_messages();
create trigger cancel_messages_replaced after update of token_hash, status on invitations for each row
  when (old.token_hash <> new.token_hash or old.status = 'pending' and new.status <> 'pending')
  execute function gateway_cancel_messages();

alter table invitations enable row level security;
alter table invitations force row level security;
create policy whoever on invitations using (true) with check (true);
create policy mandate_sees on invitations as restrictive for select using (${own});
create policy mandate_inserts on invitations as restrictive for insert with check (${own});
create policy mandate_updates on invitations as restrictive for update using (${own}) with check (${own});
create policy mandate_deletes on invitations as restrictive for delete using (${own})`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop table invitations')
}
