/**
 * The portal: what its clients are shown of a project, whose preview a client is, and the announcements by
 * which every node notices that a link was revoked or a client deactivated (see docs/coherence.md). Projects
 * decide nothing that is remembered: they are read when they are shown.
 */

const columns = `
alter table projects
  add column status text check (status in ('planned', 'active', 'waiting', 'done')),
  add column note text;
-- no foreign key: an id that is no project's any more is nobody's preview
alter table portal_clients add column preview_project_id uuid;
`

/**
 * Each table: the columns that decide something or are remembered beside it (not the last use), and the key
 * that a row's change concerns.
 */
const announced = [
  { table: 'portal_clients', columns: 'id, mandate_id, name, active', key: "'client:' || id" },
  {
    table: 'portal_access_tokens',
    columns: 'id, client_id, label, expires_at, revoked_at',
    key: "'link:' || id",
  },
]

/** Nothing is remembered of a row that does not exist, so that inserts need not be announced. */
const events = ['update', 'delete', 'truncate']

/**
 * The announcement of a statement's changes, as of the tables before these: of the rows that differ in
 * `columns`, each key once; past 300 keys one key, "*".
 * @param {(typeof announced)[number]} one
 */
function triggersOf({ table, columns: decisive, key }) {
  const differing = `(
        (select ${decisive} from old_rows except select ${decisive} from new_rows) union all
        (select ${decisive} from new_rows except select ${decisive} from old_rows)) as differing`
  const changes = {
    update: [
      'referencing old table as old_rows new table as new_rows',
      `select distinct ${key} as key from ${differing}`,
    ],
    delete: ['referencing old table as old_rows', `select distinct ${key} as key from old_rows`],
    truncate: ['', "select '*' as key"],
  }
  return Object.entries(changes)
    .map(
      ([event, [referencing, changed]]) => `
    create function coherence.${table}_${event}() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
      insert into coherence.changes (key)
        with changed as materialized (${changed} limit 301)
        select key from changed where (select count(*) from changed) <= 300
        union all select '*' where (select count(*) from changed) > 300;
      if found then perform set_config('synchronous_commit', 'on', true); end if;
      return null;
    end $$;
    revoke all on function coherence.${table}_${event}() from public;
    create trigger coherence_${event} after ${event} on public.${table} ${referencing}
      for each statement execute function coherence.${table}_${event}();
    alter table public.${table} enable always trigger coherence_${event};`,
    )
    .join('\n')
}

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(columns)
  for (const one of announced) await knex.raw(triggersOf(one))
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  for (const { table } of announced) {
    for (const event of events)
      await knex.raw(
        `drop trigger coherence_${event} on ${table}; drop function coherence.${table}_${event}()`,
      )
  }
  await knex.raw('alter table portal_clients drop column preview_project_id')
  await knex.raw('alter table projects drop column note, drop column status')
}
