import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { connectDatabase, type Database, type Sql } from '../../src/database/connect.js'
import { inMandate } from '../../src/database/mandate.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { instances, mandates, roles, users } from '../support/demo.js'

let own: TestDatabase
let database: Database
beforeAll(async () => {
  own = await createTestDatabase()
  database = connectDatabase({ url: own.url, setRole: false })
  await own.sql(
    `insert into audit_events (mandate_id, action) values ($1, 'one'), ($2, 'other'), ('system', 'third')`,
    [mandates.acme, mandates.globex],
  )
})
afterAll(async () => {
  await database.close()
  await own.drop()
})

const inAcme = <Result>(work: (tx: Sql) => Promise<Result>) =>
  database.transaction((tx) => inMandate(tx, mandates.acme, work))
const column = async (sql: Sql, statement: string) =>
  (await sql.rows<{ it: string }>(statement)).map(({ it: value }) => value)

/** What each table shows, by the mandate that a row belongs to. */
const looks = [
  ['mandates', 'select id as it from mandates'],
  ['memberships', 'select distinct mandate_id as it from user_mandates'],
  [
    'membership roles',
    `select distinct um.mandate_id as it
      from user_mandate_roles r
      left join user_mandates um on um.id = r.user_mandate_id`,
  ],
  ['instances', 'select distinct mandate_id as it from feature_instances'],
  [
    'access',
    `select distinct i.mandate_id as it
      from feature_access a
      left join feature_instances i on i.id = a.feature_instance_id`,
  ],
  [
    'access roles',
    `select distinct i.mandate_id as it
      from feature_access_roles r
      left join feature_access a on a.id = r.feature_access_id
      left join feature_instances i on i.id = a.feature_instance_id`,
  ],
  ['projects', 'select distinct mandate_id as it from projects'],
  ['portal clients', 'select distinct mandate_id as it from portal_clients'],
  [
    'links',
    'select distinct c.mandate_id as it from portal_access_tokens t left join portal_clients c on c.id = t.client_id',
  ],
  ['audit events', 'select distinct mandate_id as it from audit_events'],
] as const

describe('a transaction that has entered a mandate', () => {
  it.each(looks)(
    'sees no %s of another, without any condition in the statement',
    async (_what, statement) => {
      expect(await inAcme((tx) => column(tx, statement))).toEqual([mandates.acme])
    },
  )

  it('sees its own roles and the global ones, with their rules', async () => {
    const foreign = randomUUID()
    await own.sql(`insert into roles (id, mandate_id, label) values ($1, $2, 'foreign')`, [
      foreign,
      mandates.globex,
    ])
    await own.sql(`insert into access_rules (role_id, context) values ($1, 'DATA')`, [foreign])
    const seen = await inAcme((tx) => column(tx, 'select id as it from roles order by id'))
    expect(seen).toEqual([roles.viewer, roles.acmeAdmin, roles.crmReader, roles.crmEditor])
    expect(
      await inAcme((tx) => column(tx, 'select distinct role_id as it from access_rules order by 1')),
    ).toEqual(seen)
  })

  it('sees its members, and no other users', async () => {
    expect(await inAcme((tx) => column(tx, 'select id as it from users order by id'))).toEqual([
      users.alice,
      users.bob,
      users.carol,
      users.dave,
      users.frank,
      users.reports,
    ])
  })

  it.each([
    [
      'a membership of another mandate',
      `insert into user_mandates (user_id, mandate_id) values ('${users.erin}', '${mandates.globex}')`,
    ],
    [
      'a project of another mandate',
      `insert into projects (mandate_id, name) values ('${mandates.globex}', 'Stolen')`,
    ],
    [
      'access to an instance of another mandate',
      `insert into feature_access (user_id, feature_instance_id) values ('${users.bob}', '${instances.globexCrm}')`,
    ],
    ['a global role', `insert into roles (label) values ('everywhere')`],
    [
      'a rule of a global role',
      `insert into access_rules (role_id, context, item) values ('${roles.viewer}', 'RESOURCE', 'gateway')`,
    ],
    ['an event of the platform', `insert into audit_events (mandate_id, action) values ('system', 'forged')`],
    ['a row that is its own into another mandate', `update projects set mandate_id = '${mandates.globex}'`],
  ])('cannot write %s', async (_what, statement) => {
    await expect(inAcme((tx) => tx.run(statement))).rejects.toThrow()
  })

  it.each([
    [
      'memberships',
      'delete from user_mandates',
      'select mandate_id as it from user_mandates where mandate_id <> $1',
      mandates.acme,
    ],
    [
      'users',
      'update users set is_sys_admin = true',
      "select id as it from users where is_sys_admin is not true and $1 <> ''",
      'x',
    ],
    [
      'global rules',
      `update access_rules set "delete" = 'a'`,
      `select id as it from access_rules where role_id = $1 and "delete" <> 'a'`,
      roles.viewer,
    ],
  ])('leaves the %s of others as they are, whatever it says', async (_what, statement, left, value) => {
    const before = await own.sql(left, [value])
    expect(before.length).toBeGreaterThan(0)
    await database
      .transaction(async (tx) => {
        await inMandate(tx, mandates.acme, (inside) => inside.run(statement))
        throw new Error('taken back')
      })
      .catch(() => undefined)
    await inAcme(async (tx) => {
      await tx.run(statement)
    }).catch(() => undefined)
    expect(await own.sql(left, [value])).toEqual(before)
  })

  it('is an ordinary transaction again afterwards, and so is its connection', async () => {
    await database.transaction(async (tx) => {
      await inMandate(tx, mandates.globex, () => Promise.resolve())
      expect((await column(tx, 'select id as it from mandates')).length).toBe(3)
    })
    expect((await column(database, 'select id as it from mandates')).length).toBe(3)
  })
})

it('row-level security is forced on every table with rows of mandates, and the gateway owns none', async () => {
  const tables = await own.sql<{ name: string }>(`
    select distinct c.relname as name
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
      join pg_attribute a on a.attrelid = c.oid
        and a.attname in ('mandate_id', 'feature_instance_id', 'user_mandate_id', 'feature_access_id')
     where c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)`)
  expect(tables).toEqual([])
  expect(
    await own.sql(
      `select relname from pg_class where relowner in ('gateway_app'::regrole, 'gateway'::regrole)`,
    ),
  ).toEqual([])
})
