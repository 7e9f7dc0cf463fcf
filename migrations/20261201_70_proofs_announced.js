/**
 * Decisions depend on how and when a session was proved, and on when its tokens were issued: changes of these
 * are announced. `last_used_at` decides only what a node reads anew, so it is not. `kept_proof`: the proof
 * that a token keeps when its session is proved again; null for a token that has its session's. It changes
 * only together with the session's.
 */

/**
 * The function of a trigger for updates, as 20261130_30_announce_in_groups.js makes it.
 * @param {{ table: string, columns: string, key: string, live: string }} one
 */
const announceUpdates = ({ table, columns, key, live }) => `
create or replace function coherence.${table}_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into coherence.changes (key)
    with changed as (
           (select ${columns} from old_rows except select ${columns} from new_rows)
            union all
           (select ${columns} from new_rows except select ${columns} from old_rows)
         ),
         differing as (
           select *, count(*) over (partition by user_id) as together
             from changed
            where ${live}
         ),
         concerned as materialized (
           select distinct case when together > 20 then 'user:' || user_id else '${key}:' || id end as key
             from differing
            limit 20001
         )
    select key from concerned where (select count(*) from concerned) <= 20000
    union all
    select '*' where (select count(*) from concerned) > 20000;
  if found then perform set_config('synchronous_commit', 'on', true); end if;
  return null;
end $$;`

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw('alter table tokens add column kept_proof jsonb')
  // 20261201_40_proofs_of_sessions.js enabled them for this database's own changes only: replicated ones count, too.
  for (const event of ['update', 'delete', 'truncate'])
    await knex.raw(`alter table sessions enable always trigger coherence_${event}`)
  await knex.raw(
    announceUpdates({
      table: 'sessions',
      columns: 'id, user_id, authority, ended_at, created_at, auth_time, mfa_at, phr_at, amr',
      key: 'session',
      live: 'ended_at is null',
    }),
  )
  await knex.raw(
    announceUpdates({
      table: 'tokens',
      columns: 'id, user_id, authority, purpose, session_id, status, issued_at, expires_at',
      key: 'token',
      live: `status = 'active' and expires_at > now() - interval '1 hour'`,
    }),
  )
}

/**
 * The functions go with the schema, which an earlier migration takes away; as they are, they serve older versions.
 * @param {import('knex').Knex} knex
 */
export async function down(knex) {
  await knex.raw('alter table tokens drop column kept_proof')
}
