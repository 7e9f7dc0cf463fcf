/**
 * The login of requests may read which migrations have been applied: `/system/database` and `doctor` tell of
 * them.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw('grant select on gateway_migrations to gateway_app')
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('revoke select on gateway_migrations from gateway_app')
}
