/**
 * Postgres 14 lets every role make tables and functions in `public`; later versions do not. The login of
 * requests must not: what it made could be taken for the gateway's own. Where the owner may not revoke it,
 * Postgres only warns, and `doctor` names the statement for a superuser.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
do $$
begin
  if exists (
    select
      from pg_namespace, aclexplode(nspacl) a
     where nspname = 'public' and a.grantee = 0 and a.privilege_type = 'CREATE'
  ) then
    revoke create on schema public from public;
  end if;
end
$$`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(`
do $$
begin
  if current_setting('server_version_num')::int < 150000 then
    grant create on schema public to public;
  end if;
end
$$`)
}
