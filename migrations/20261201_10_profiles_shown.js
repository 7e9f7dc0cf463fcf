/**
 * Whether a mandate's own admins see the address and full name of a member. They do not, of a person whom one
 * of them has added, until that person enters the mandate. Rows of older versions, of operators and of other
 * tools are shown.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw('alter table user_mandates add column profile_shown boolean not null default true')
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('alter table user_mandates drop column profile_shown')
}
