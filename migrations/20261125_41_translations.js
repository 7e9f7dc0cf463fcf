/**
 * The texts of portal and console that SysAdmins have changed; the others are as shipped. And how tokens and
 * sessions are listed.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table translations (
  language text not null check (language ~ '^[a-z]{2}$'),
  key text not null check (length(key) between 1 and 200),
  text text not null check (length(text) <= 5000),
  updated_at timestamptz not null default now(),
  primary key (language, key)
);
create trigger touch before update on translations for each row execute function gateway_touch();
grant select, insert, update, delete on translations to gateway_app;

create index tokens_issued on tokens (issued_at, id);
create index tokens_user_issued on tokens (user_id, issued_at, id);
create index sessions_created on sessions (created_at, id)`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(`
drop index sessions_created;
drop index tokens_user_issued;
drop index tokens_issued;
drop table translations`)
}
