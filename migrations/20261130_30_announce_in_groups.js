/**
 * What is announced concerns those whose rows changed, however many rows those are. Rows that have ended
 * (tokens that have expired or were revoked, ended sessions) are not announced: nobody is let in by them.
 * Many rows of one group (a user's tokens, a mandate's memberships) are announced by one key on which all
 * that is remembered of the group depends, in older versions too. "*" is left for statements that change
 * thousands of people.
 */

/**
 * Each authority table: the columns that decide something, and the keys that a row's change concerns. `live`:
 * which rows somebody may be let in by. `group`: the key that stands for all rows of a group, where a
 * statement changes more than `together` of them.
 */
const announced = [
  {
    table: 'tokens',
    columns: 'id, user_id, authority, purpose, session_id, status, expires_at',
    keys: "'token:' || id",
    // an hour, for nodes whose clocks are behind
    live: "status = 'active' and expires_at > now() - interval '1 hour'",
    group: "'user:' || user_id",
    together: 20,
    inserts: false,
  },
  {
    table: 'sessions',
    columns: 'id, user_id, authority, ended_at',
    keys: "'session:' || id",
    live: 'ended_at is null',
    group: "'user:' || user_id",
    together: 20,
    inserts: false,
  },
  {
    table: 'users',
    columns: 'id, username, email, full_name, enabled, is_sys_admin, is_platform_admin',
    keys: "'user:' || id, 'username:' || username",
  },
  { table: 'mandates', columns: 'id, enabled', keys: "'mandate:' || id" },
  {
    table: 'user_mandates',
    columns: 'id, user_id, mandate_id, enabled',
    keys: "'membership:' || user_id || ':' || mandate_id, 'member:' || id",
    group: "'mandate:' || mandate_id",
    together: 1000,
  },
  { table: 'user_mandate_roles', columns: 'user_mandate_id, role_id', keys: "'member:' || user_mandate_id" },
  { table: 'feature_instances', columns: 'id, mandate_id, enabled', keys: "'instance:' || id" },
  {
    table: 'feature_access',
    columns: 'id, user_id, feature_instance_id, enabled',
    keys: "'access:' || user_id || ':' || feature_instance_id, 'accessor:' || id",
    group: "'instance:' || feature_instance_id",
    together: 1000,
  },
  {
    table: 'feature_access_roles',
    columns: 'feature_access_id, role_id',
    keys: "'accessor:' || feature_access_id",
  },
  { table: 'roles', columns: 'id, mandate_id, feature_instance_id', keys: "'role:' || id" },
  {
    table: 'access_rules',
    columns: 'id, role_id, context, item, view, "read", "create", "update", "delete"',
    keys: "'role:' || role_id",
  },
  {
    table: 'portal_clients',
    columns: 'id, mandate_id, name, active',
    keys: "'client:' || id",
    group: "'mandate:' || mandate_id",
    together: 1000,
    inserts: false,
  },
  {
    table: 'portal_access_tokens',
    columns: 'id, client_id, label, expires_at, revoked_at',
    keys: "'link:' || id",
    group: "'client:' || client_id",
    together: 20,
    inserts: false,
  },
]

/**
 * So many keys of one statement are announced one by one; a renewal brings them to each node in about a
 * megabyte.
 */
const mostKeys = 20_000

/**
 * The functions of a table's triggers: of the rows that differ in `columns`, before and after, each key once.
 * @param {typeof announced[number] & { live?: string, group?: string, together?: number, inserts?: boolean }}
 * one
 */
function functionsOf({ table, columns, keys, live = 'true', group, together = 0, inserts = true }) {
  const rowsOf = {
    update: `(select ${columns} from old_rows except select ${columns} from new_rows) union all (select ${columns} from new_rows except select ${columns} from old_rows)`,
    delete: `select ${columns} from old_rows`,
    ...(inserts ? { insert: `select ${columns} from new_rows` } : {}),
  }
  const counted = group === undefined ? '' : `, count(*) over (partition by ${group}) as together`
  const chosen =
    group === undefined
      ? `array[${keys}]`
      : `case when together > ${together} then array[${group}] else array[${keys}] end`
  return Object.entries(rowsOf)
    .map(
      ([event, rows]) => `
    create or replace function coherence.${table}_${event}() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
      insert into coherence.changes (key)
        with differing as (select *${counted} from (${rows}) as changed where ${live}),
             concerned as materialized (select distinct key from differing cross join lateral unnest(${chosen}) as key limit ${mostKeys + 1})
        select key from concerned where (select count(*) from concerned) <= ${mostKeys}
        union all select '*' where (select count(*) from concerned) > ${mostKeys};
      if found then perform set_config('synchronous_commit', 'on', true); end if;
      return null;
    end $$;`,
    )
    .join('\n')
}

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  for (const one of announced) await knex.raw(functionsOf(one))
}

/**
 * The functions are gone with the schema, which the migration before takes away: as they are, they serve the
 * older versions, too.
 */
export async function down() {}
