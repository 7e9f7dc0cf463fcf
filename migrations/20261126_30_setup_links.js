/**
 * One-time links by which the first admin makes themselves: only hashes are stored, and none works once there
 * is an admin. See docs/operating.md.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table setup_links (
  token_hash text primary key check (token_hash ~ '^[0-9a-f]{64}$'),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
grant select, insert, delete on setup_links to gateway_app`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop table setup_links')
}
