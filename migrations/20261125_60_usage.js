/**
 * What each mandate is used, by day (UTC). `requests` are all that named the mandate and were decided,
 * `denials` those of them that were refused, strangers' included: what a mandate used is the difference. No
 * foreign key: a bill outlives its mandate.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table usage_daily (
  mandate_id uuid not null,
  day date not null,
  requests bigint not null default 0,
  denials bigint not null default 0,
  primary key (mandate_id, day)
);
create index usage_daily_day on usage_daily (day);
alter table usage_daily enable row level security;
alter table usage_daily force row level security;
create policy whoever on usage_daily using (true) with check (true);
create policy mandate_sees on usage_daily as restrictive for select using ((select gateway_mandate()) is null or mandate_id = gateway_mandate());
create policy mandate_inserts on usage_daily as restrictive for insert with check ((select gateway_mandate()) is null);
create policy mandate_updates on usage_daily as restrictive for update using ((select gateway_mandate()) is null);

-- The last batch of each writer that has been added: none is added twice.
create table usage_writers (
  id uuid primary key,
  last_batch bigint not null,
  written_at timestamptz not null default now()
)`)
  await knex.raw('grant select, insert, update on usage_daily to gateway_app')
  await knex.raw('grant select, insert, update, delete on usage_writers to gateway_app')
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop table usage_writers')
  await knex.raw('drop table usage_daily')
}
