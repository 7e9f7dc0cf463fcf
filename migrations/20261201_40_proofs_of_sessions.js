/**
 * How and when the person of a session was proved, and how an account came to be. Sessions of before were
 * proved when they began. Accounts of before are an operator's, and their addresses count as confirmed.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
alter table sessions
  add column auth_time timestamptz,
  add column mfa_at timestamptz,
  add column phr_at timestamptz,
  add column amr text[] not null default '{}',
  add column last_used_at timestamptz;

-- Nobody is let in or refused by these columns yet: there is nothing to announce.
alter table sessions disable trigger user;
update sessions set auth_time = created_at;
alter table sessions enable trigger user;

alter table sessions alter column auth_time set default now();

alter table users
  add column self_made boolean not null default false,
  add column email_confirmed boolean not null default true`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(`
alter table users
  drop column self_made,
  drop column email_confirmed;

alter table sessions
  drop column auth_time,
  drop column mfa_at,
  drop column phr_at,
  drop column amr,
  drop column last_used_at`)
}
