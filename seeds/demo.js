/** The demo data: everybody's password, ids and rights are published, so it is for trying things out only. */

/** The password of every demo user. */
export const demoPassword = 'demo-password-1'

/** The token of the demo client's portal link. */
const demoPortalLink = 'demo-portal-link-token'

/** @param {string} digits */
const id = (digits) => `00000000-0000-4000-8000-${digits.padStart(12, '0')}`

const users = [
  { id: id('1'), username: 'root', full_name: 'Rosa Root', is_sys_admin: true },
  { id: id('2'), username: 'petra', full_name: 'Petra Platform', is_platform_admin: true },
  { id: id('3'), username: 'alice', full_name: 'Alice Ackermann' },
  { id: id('4'), username: 'bob', full_name: 'Bob Brandt' },
  { id: id('5'), username: 'carol', full_name: 'Carol Castellan' },
  { id: id('6'), username: 'dave', full_name: 'Dave Dorn', enabled: false },
  { id: id('7'), username: 'erin', full_name: 'Erin Eberle' },
  { id: id('8'), username: 'frank', full_name: 'Frank Falk', is_platform_admin: true },
  { id: id('9'), username: 'reports', full_name: 'Reports (service account)', is_service_account: true },
]

const [acme, globex, initech] = [id('101'), id('102'), id('103')]
const [acmeCrm, globexCrm, acmeArchive] = [id('201'), id('202'), id('203')]
const [viewer, acmeAdmin, crmReader, crmEditor] = [id('401'), id('402'), id('403'), id('404')]
const [alice, bob, carol, dave, frank, reports] = [id('3'), id('4'), id('5'), id('6'), id('8'), id('9')]

const all = { view: true, read: 'a', create: 'a', update: 'a', delete: 'a' }
const readAll = { view: true, read: 'a' }
const readGroup = { view: true, read: 'g' }
const edit = { view: true, read: 'a', create: 'a', update: 'g', delete: 'm' }

const rules = [
  { role_id: viewer, context: 'DATA', item: 'crm', ...readAll },
  { role_id: viewer, context: 'RESOURCE', item: 'crm', ...readAll },
  { role_id: viewer, context: 'UI', item: 'crm', view: true },
  { role_id: acmeAdmin, context: 'RESOURCE', item: 'gateway', ...all },
  { role_id: acmeAdmin, context: 'RESOURCE', item: 'crm', ...all },
  { role_id: acmeAdmin, context: 'DATA', item: 'crm', ...all },
  { role_id: acmeAdmin, context: 'UI', item: null, ...all },
  { role_id: crmReader, context: 'RESOURCE', item: 'crm', ...readGroup },
  { role_id: crmReader, context: 'DATA', item: 'crm', ...readGroup },
  { role_id: crmEditor, context: 'RESOURCE', item: 'crm', ...edit },
  { role_id: crmEditor, context: 'DATA', item: 'crm', ...edit },
]

/** [user, mandate, role, enabled] */
const memberships = [
  [alice, acme, acmeAdmin, true],
  [alice, globex, viewer, true],
  [alice, initech, viewer, true],
  [bob, acme, viewer, true],
  [carol, acme, viewer, false],
  [carol, globex, viewer, true],
  [dave, acme, viewer, true],
  [frank, acme, viewer, false],
  [frank, globex, viewer, true],
  [reports, acme, viewer, true],
]

/** [user, instance, role or null, enabled] */
const accesses = [
  [alice, acmeCrm, crmEditor, true],
  [alice, acmeArchive, crmEditor, true],
  [bob, acmeCrm, crmReader, true],
  [carol, globexCrm, null, false],
  [frank, globexCrm, null, false],
]

/**
 * Whether the demo data has been inserted already: what somebody then changed or removed stays so.
 * @param {import('knex').Knex} knex
 */
export async function isSeeded(knex) {
  const known = users.map((user) => user.id)
  return (
    (await knex('users').whereIn('id', known).first('id')) !== undefined ||
    (await knex('mandates').whereIn('id', [acme, globex, initech]).first('id')) !== undefined
  )
}

/**
 * Inserts what is missing of the demo data and changes nothing that is there.
 * @param {import('knex').Knex} knex the owner's connection, in a transaction
 * @param {{ passwordHash: string, sha256: (text: string) => string }} secrets
 */
export async function seed(knex, { passwordHash, sha256 }) {
  /** @param {string} table @param {object[]} rows */
  const insert = async (table, rows) => {
    await knex(table).insert(rows).onConflict().ignore()
  }
  await insert(
    'users',
    users.map((user) => ({ email: `${user.username}@example.com`, password_hash: passwordHash, ...user })),
  )
  await insert('mandates', [
    { id: acme, slug: 'acme', label: 'Acme', enabled: true },
    { id: globex, slug: 'globex', label: 'Globex', enabled: true },
    { id: initech, slug: 'initech', label: 'Initech', enabled: false },
  ])
  await insert('features', [
    { code: 'crm', label: 'Customer relations' },
    { code: 'projects', label: 'Projects' },
  ])
  await insert('feature_instances', [
    { id: acmeCrm, mandate_id: acme, feature_code: 'crm', label: 'acme-crm', enabled: true },
    { id: globexCrm, mandate_id: globex, feature_code: 'crm', label: 'globex-crm', enabled: true },
    { id: acmeArchive, mandate_id: acme, feature_code: 'crm', label: 'acme-archive', enabled: false },
  ])
  await insert('roles', [
    { id: viewer, mandate_id: null, feature_instance_id: null, label: 'viewer' },
    { id: acmeAdmin, mandate_id: acme, feature_instance_id: null, label: 'acme-admin' },
    { id: crmReader, mandate_id: acme, feature_instance_id: acmeCrm, label: 'crm-reader' },
    { id: crmEditor, mandate_id: acme, feature_instance_id: acmeCrm, label: 'crm-editor' },
  ])
  await insert(
    'access_rules',
    rules.map((rule, index) => ({ id: id(`6${String(index + 1).padStart(2, '0')}`), ...rule })),
  )
  await insert(
    'user_mandates',
    memberships.map(([user, mandate, , enabled], index) => ({
      id: id(`7${String(index + 1).padStart(2, '0')}`),
      user_id: user,
      mandate_id: mandate,
      enabled,
    })),
  )
  await insert(
    'user_mandate_roles',
    memberships.map(([, , role], index) => ({
      user_mandate_id: id(`7${String(index + 1).padStart(2, '0')}`),
      role_id: role,
    })),
  )
  await insert(
    'feature_access',
    accesses.map(([user, instance, , enabled], index) => ({
      id: id(`8${String(index + 1).padStart(2, '0')}`),
      user_id: user,
      feature_instance_id: instance,
      enabled,
    })),
  )
  await insert(
    'feature_access_roles',
    accesses.flatMap(([, , role], index) =>
      role ? [{ feature_access_id: id(`8${String(index + 1).padStart(2, '0')}`), role_id: role }] : [],
    ),
  )
  await insert('portal_clients', [
    { id: id('501'), mandate_id: acme, name: 'Northwind', slug: 'northwind', active: true },
  ])
  await insert('projects', [
    {
      id: id('301'),
      mandate_id: acme,
      name: 'Website relaunch',
      client_name: 'Brightside GmbH',
      client_id: null,
    },
    {
      id: id('302'),
      mandate_id: acme,
      name: 'Spring campaign',
      client_name: 'Northwind',
      client_id: id('501'),
    },
  ])
  await insert('portal_access_tokens', [
    { id: id('901'), client_id: id('501'), token_hash: sha256(demoPortalLink), label: 'demo' },
  ])
}
