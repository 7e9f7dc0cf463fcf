/**
 * The audit's chain: events are sealed in order, each seal made of the one before it, and the last of each
 * batch is signed. What events say about persons lies beside them and can be erased; the event keeps a keyed
 * hash of it. See docs/audit.md.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
alter table audit_events
  add column id uuid not null default gen_random_uuid(), -- given by who records: written twice, it is there once
  add column xid xid8 not null default pg_current_xact_id(),
  add column personal jsonb not null default '{}'; -- path in the details: keyed hash of the value

create unique index audit_events_id on audit_events (id);
create index audit_events_xid on audit_events (xid, seq);
create index audit_events_request on audit_events (request_id);
drop index audit_events_mandate;
drop index audit_events_user;
drop index audit_events_time;
create index audit_events_time on audit_events (occurred_at, seq);
create index audit_events_mandate on audit_events (mandate_id, occurred_at, seq);
create index audit_events_user on audit_events (user_id, occurred_at, seq);
create index audit_events_action on audit_events (action, occurred_at, seq);

-- what decides where events that are not sealed yet are looked for is not for their authors to say
create function audit_stamp() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.xid := pg_current_xact_id();
  return new;
end $$;
create trigger stamp before insert on audit_events for each row execute function audit_stamp();

create table audit_personal (
  event_id uuid not null,
  mandate_id text,
  field text not null, -- the path in the event's details
  person_id uuid,      -- whose it is
  salt text not null,  -- the hash's key: gone with the value, so that nobody can try values
  value text not null,
  primary key (event_id, field)
);
create index audit_personal_person on audit_personal (person_id);

create table audit_seals (
  position bigint primary key, -- 1, 2, 3 …
  seq bigint not null unique,
  horizon xid8 not null,  -- all events of transactions before this one are sealed: where to look on
  content bytea not null, -- SHA-256 of the event
  hash bytea not null,    -- SHA-256 of the hash before, the position and the content
  sealed_at timestamptz not null,
  signed_by text,         -- an Ed25519 public key, on the last seal of each batch
  signature text
);

grant select, insert, delete on audit_personal to gateway_app;
grant select, insert on audit_seals to gateway_app;

alter table audit_personal enable row level security;
alter table audit_personal force row level security;
create policy whoever on audit_personal using (true) with check (true);
create policy mandate_only on audit_personal as restrictive
  using ((select gateway_mandate()) is null or mandate_id = gateway_mandate()::text)`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(`
drop table audit_seals;
drop table audit_personal;
drop trigger stamp on audit_events;
drop function audit_stamp();
drop index audit_events_action;
drop index audit_events_user;
drop index audit_events_mandate;
drop index audit_events_time;
drop index audit_events_request;
drop index audit_events_xid;
drop index audit_events_id;
alter table audit_events drop column personal, drop column xid, drop column id;
create index audit_events_mandate on audit_events (mandate_id, seq);
create index audit_events_user on audit_events (user_id, seq);
create index audit_events_time on audit_events (occurred_at)`)
}
