/**
 * The keys with which the gateway signs, for its upstreams, who is calling. The private parts are sealed with
 * SECRET_KEY. See docs/upstreams.md.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table identity_keys (
  kid text primary key,
  public_jwk jsonb not null,
  sealed_private_key text not null,
  created_at timestamptz not null default now()
)`)
  await knex.raw('grant select, insert, delete on identity_keys to gateway_app')
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop table identity_keys')
}
