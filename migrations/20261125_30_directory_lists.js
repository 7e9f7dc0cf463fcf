/**
 * Lists of a million users: indexes in the order of each list, and the words by which people and mandates are
 * found. Words lie in tables of their own, so that a search is a range of one index whatever is searched for,
 * and needs no extension.
 */

const words = `
-- whole texts and each of their words, in lower case
create function gateway_terms(wholes text[], texts text[]) returns setof text language sql immutable as $$
  select distinct left(term, 200) from (
    select lower(whole) as term from pg_catalog.unnest(wholes || texts) as whole
    union all
    select word from pg_catalog.unnest(texts) as whole, lateral pg_catalog.regexp_split_to_table(lower(whole), '[^[:alnum:]]+') as word
  ) as terms where term <> ''
$$;`

/**
 * Each searched table: the columns that are found by their beginning, and those that are found by each of
 * their words.
 */
const searched = [
  { table: 'users', terms: 'user_terms', key: 'user_id', wholes: 'email', texts: 'username, full_name' },
  { table: 'mandates', terms: 'mandate_terms', key: 'mandate_id', wholes: '', texts: 'slug, label' },
]

/** @param {(typeof searched)[number]} one */
const searchOf = ({ table, terms, key, wholes, texts }) => {
  const columns = [wholes, texts].filter(Boolean).join(', ')
  const insert = (/** @type {string} */ rows) => `
    insert into public.${terms} (${key}, term)
      select r.id, term from ${rows} r, lateral public.gateway_terms(array[${wholes}]::text[], array[${texts}]::text[]) as term`
  const differing = `(select id, ${columns} from new_rows except select id, ${columns} from old_rows)`
  const seen = `exists (select from ${table} parent where parent.id = ${key})`
  return `
create table ${terms} (
  ${key} uuid not null references ${table} on delete cascade,
  term text collate "C" not null,
  primary key (${key}, term)
);
create index ${terms}_term on ${terms} (term, ${key});
${insert(table)};

create function gateway_${terms}_insert() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  ${insert('new_rows')};
  return null;
end $$;
create function gateway_${terms}_update() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from public.${terms} where ${key} in (select id from ${differing} as changed);
  ${insert(differing)};
  return null;
end $$;
create trigger terms_insert after insert on ${table} referencing new table as new_rows for each statement execute function gateway_${terms}_insert();
create trigger terms_update after update on ${table} referencing old table as old_rows new table as new_rows for each statement execute function gateway_${terms}_update();

alter table ${terms} enable row level security;
alter table ${terms} force row level security;
create policy whoever on ${terms} using (true) with check (true);
create policy mandate_sees on ${terms} as restrictive for select using ((select gateway_mandate()) is null or ${seen});
grant select on ${terms} to gateway_app;`
}

const indexes = [
  'users_created on users (created_at, id)',
  'users_disabled on users (username) where not enabled',
  'users_sys_admins on users (username) where is_sys_admin',
  'users_platform_admins on users (username) where is_platform_admin',
  'users_service_accounts on users (username) where is_service_account',
  'mandates_created on mandates (created_at, id)',
  'user_mandates_members on user_mandates (mandate_id, user_id)',
  'roles_label on roles (label, id)',
  'feature_instances_label on feature_instances (label, id)',
  'feature_access_members on feature_access (feature_instance_id, user_id)',
  "access_rules_item on access_rules (context, coalesce(item, ''))",
]

const subscriptions = `
-- what a mandate has been sold; null is no limit
create table subscriptions (
  mandate_id uuid primary key references mandates on delete cascade,
  plan text not null check (length(plan) between 1 and 100),
  requests_per_month bigint check (requests_per_month >= 0),
  members int check (members >= 0),
  instances int check (instances >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger touch before update on subscriptions for each row execute function gateway_touch();
alter table subscriptions enable row level security;
alter table subscriptions force row level security;
create policy whoever on subscriptions using (true) with check (true);
create policy mandate_sees on subscriptions as restrictive for select using ((select gateway_mandate()) is null or mandate_id = gateway_mandate());
create policy mandate_inserts on subscriptions as restrictive for insert with check ((select gateway_mandate()) is null);
create policy mandate_updates on subscriptions as restrictive for update using ((select gateway_mandate()) is null);
create policy mandate_deletes on subscriptions as restrictive for delete using ((select gateway_mandate()) is null);
grant select, insert, update, delete on subscriptions to gateway_app;
`

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(words)
  for (const one of searched) await knex.raw(searchOf(one))
  for (const index of indexes) await knex.raw(`create index ${index}`)
  await knex.raw(subscriptions)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop table subscriptions')
  for (const index of indexes) await knex.raw('drop index ??', [index.split(' ')[0]])
  for (const { table, terms } of searched) {
    await knex.raw('drop trigger terms_insert on ??; drop trigger terms_update on ??', [table, table])
    await knex.raw('drop table ??', [terms])
    await knex.raw(`drop function gateway_${terms}_insert(), gateway_${terms}_update()`)
  }
  await knex.raw('drop function gateway_terms(text[], text[])')
}
