/**
 * Persons whom the audit has erased for good: what comes late about them, from a queue or a disk, is not kept
 * either. See docs/audit.md.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table audit_erased (
  person_id uuid primary key,
  erased_at timestamptz not null default now()
);
grant select, insert on audit_erased to gateway_app`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop table audit_erased')
}
