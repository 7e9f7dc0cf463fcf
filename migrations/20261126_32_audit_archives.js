/**
 * Where the audit's chain begins in this database, after what came before was archived. See docs/audit.md.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table audit_archives (
  position bigint primary key, -- the last link of the archive, which stays in audit_seals without its event
  hash text not null,
  events bigint not null,
  digest text not null,        -- SHA-256 of the file
  archived_at text not null,   -- as it was signed
  signed_by text not null,
  signature text not null
);
grant select on audit_archives to gateway_app`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop table audit_archives')
}
