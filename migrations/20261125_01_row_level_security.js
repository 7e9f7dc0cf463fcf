/**
 * Row-level security: a transaction that has entered a mandate (`gateway.mandate` is set) sees and writes the
 * rows of that mandate alone. Whoever has entered none is not restricted by it: the gateway's own look-ups,
 * and other tools. Forced, so that the owner obeys it too.
 */

const own = 'mandate_id = gateway_mandate()'
const ofParent = (/** @type {string} */ parent, /** @type {string} */ key) =>
  `exists (select from ${parent} parent where parent.id = ${key})`

/**
 * Each table: what is a row of the mandate's to look at, and, where that is less, to write. What a parent may
 * show its own policy says.
 */
const policies = [
  { table: 'mandates', see: 'id = gateway_mandate()' },
  { table: 'user_mandates', see: own },
  {
    table: 'user_mandate_roles',
    see: `${ofParent('user_mandates', 'user_mandate_id')} and ${ofParent('roles', 'role_id')}`,
  },
  { table: 'feature_instances', see: own },
  { table: 'feature_access', see: ofParent('feature_instances', 'feature_instance_id') },
  {
    table: 'feature_access_roles',
    see: `${ofParent('feature_access', 'feature_access_id')} and ${ofParent('roles', 'role_id')}`,
  },
  { table: 'roles', see: `(${own} or mandate_id is null)`, write: own },
  {
    table: 'access_rules',
    see: ofParent('roles', 'role_id'),
    write:
      'exists (select from roles parent where parent.id = role_id and parent.mandate_id = gateway_mandate())',
  },
  {
    table: 'users',
    see: 'exists (select from user_mandates member where member.user_id = users.id)',
    write: 'false',
  },
  { table: 'projects', see: own },
  { table: 'portal_clients', see: own },
  { table: 'portal_access_tokens', see: ofParent('portal_clients', 'client_id') },
  { table: 'audit_events', see: 'mandate_id = gateway_mandate()::text' },
]

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create function gateway_mandate() returns uuid language sql stable as $$
  select nullif(current_setting('gateway.mandate', true), '')::uuid
$$`)
  for (const { table, see, write = see } of policies) {
    const [may, mayWrite] = [see, write].map(
      (condition) => `(select gateway_mandate()) is null or (${condition})`,
    )
    await knex.raw(`
alter table ${table} enable row level security;
alter table ${table} force row level security;
create policy whoever on ${table} using (true) with check (true);
create policy mandate_sees on ${table} as restrictive for select using (${may});
create policy mandate_inserts on ${table} as restrictive for insert with check (${mayWrite});
create policy mandate_updates on ${table} as restrictive for update using (${mayWrite}) with check (${mayWrite});
create policy mandate_deletes on ${table} as restrictive for delete using (${mayWrite})`)
  }
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  for (const { table } of policies) {
    await knex.raw(`
drop policy mandate_deletes on ${table};
drop policy mandate_updates on ${table};
drop policy mandate_inserts on ${table};
drop policy mandate_sees on ${table};
drop policy whoever on ${table};
alter table ${table} no force row level security;
alter table ${table} disable row level security`)
  }
  await knex.raw('drop function gateway_mandate()')
}
