// The planner takes "is null or …" of a value that it does not know yet for almost never true, and so sorted
// all mandates for one page of them. Of a case it expects half, and goes along the index.

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(
    'alter policy mandate_sees on mandates using (case when (select gateway_mandate()) is null then true else id = gateway_mandate() end)',
  )
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(
    'alter policy mandate_sees on mandates using ((select gateway_mandate()) is null or (id = gateway_mandate()))',
  )
}
