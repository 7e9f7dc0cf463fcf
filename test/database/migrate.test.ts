import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from '@jest/globals'
import { connectDatabase, type Database } from '../../src/database/connect.js'
import { withMigrator } from '../../src/database/migrate.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { users } from '../support/demo.js'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function emptyDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase('template_empty')
  cleanups.push(() => database.drop())
  return database
}

async function demoDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase()
  cleanups.push(() => database.drop())
  return database
}

function connect(options: { url: string; setRole: boolean; poolSize?: number }): Database {
  const database = connectDatabase(options)
  cleanups.push(() => database.close())
  return database
}

const hash = (password: string) => Promise.resolve(`hash of ${password}`)
const up = (database: TestDatabase) => withMigrator(database.ownerUrl, (migrator) => migrator.up())
const down = (database: TestDatabase) => withMigrator(database.ownerUrl, (migrator) => migrator.down())
const seed = (database: TestDatabase) =>
  withMigrator(database.ownerUrl, (migrator) => migrator.seedDemo(hash))

/** Everything that a database holds beside Postgres itself and the notes of which migrations have run. */
async function inventory({ sql }: TestDatabase): Promise<Record<string, unknown>> {
  const ours = (column: string) =>
    `${column} not in ('pg_catalog', 'information_schema', 'pg_toast') and ${column} !~ '^pg_(temp|toast)'`
  const noNotes = (column: string) => `${column} not like 'gateway_migrations%'`
  return {
    schemas: await sql(
      `select schema_name, schema_owner from information_schema.schemata where ${ours('schema_name')} order by 1`,
    ),
    schemaRights: await sql(
      `select nspname, a.grantee::regrole::text as grantee, a.privilege_type
        from pg_namespace, aclexplode(nspacl) a
        where ${ours('nspname')}
        order by 1, 2, 3`,
    ),
    columns: await sql(
      `select table_schema, table_name, column_name, data_type, column_default, is_nullable
        from information_schema.columns
        where ${ours('table_schema')} and ${noNotes('table_name')}
        order by 1, 2, 3`,
    ),
    routines: await sql(
      `select routine_schema, routine_name
        from information_schema.routines
        where ${ours('routine_schema')}
        order by 1, 2`,
    ),
    triggers: await sql(
      `select trigger_schema, trigger_name, event_object_table, event_manipulation
        from information_schema.triggers
        order by 1, 2, 3, 4`,
    ),
    sequences: await sql(
      `select sequence_schema, sequence_name
        from information_schema.sequences
        where ${ours('sequence_schema')} and ${noNotes('sequence_name')}
        order by 1, 2`,
    ),
    constraints: await sql(
      `select constraint_schema, table_name, constraint_type
        from information_schema.table_constraints
        where ${ours('constraint_schema')} and ${noNotes('table_name')}
        order by 1, 2, 3`,
    ),
    rights: await sql(
      `select table_schema, table_name, grantee, privilege_type
        from information_schema.table_privileges
        where ${ours('table_schema')} and ${noNotes('table_name')}
        order by 1, 2, 3, 4`,
    ),
    types: await sql(
      `select typname
        from pg_type t
        join pg_namespace n on n.oid = typnamespace
        where ${ours('nspname')} and typrelid = 0 and typelem = 0
        order by 1`,
    ),
    policies: await sql('select schemaname, tablename, policyname from pg_policies order by 1, 2, 3'),
    eventTriggers: await sql('select evtname from pg_event_trigger order by 1'),
    extensions: await sql('select extname from pg_extension order by 1'),
    defaultRights: await sql('select defaclobjtype from pg_default_acl'),
  }
}

describe('the migrations', () => {
  it('up and then down leave a database as it was', async () => {
    const database = await emptyDatabase()
    const before = await inventory(database)
    const applied = await up(database)
    expect(applied.length).toBeGreaterThan(0)
    expect((await inventory(database)).columns).not.toEqual(before.columns)
    expect((await down(database)).sort()).toEqual([...applied].sort())
    expect(await inventory(database)).toEqual(before)
    expect(await database.sql('select * from gateway_migrations')).toEqual([])
  })

  it('down takes a database with data back too, and up makes it again as it was', async () => {
    const database = await demoDatabase()
    const before = await inventory(database)
    await down(database)
    await up(database)
    expect(await inventory(database)).toEqual(before)
  })

  it('up a second time applies nothing and changes nothing', async () => {
    const database = await emptyDatabase()
    await up(database)
    const before = await inventory(database)
    expect(await up(database)).toEqual([])
    expect(await inventory(database)).toEqual(before)
  })

  it('by many at once are applied once', async () => {
    const database = await emptyDatabase()
    const all = await Promise.all(Array.from({ length: 5 }, () => up(database)))
    expect(all.filter((names) => names.length > 0)).toHaveLength(1)
    const names = await database.sql<{ name: string }>('select name from gateway_migrations')
    expect(new Set(names.map(({ name }) => name)).size).toBe(names.length)
    expect(names).toHaveLength(all.flat().length)
  })

  it('in two databases of one cluster at once do not get in each other’s way', async () => {
    const databases = await Promise.all([emptyDatabase(), emptyDatabase(), emptyDatabase()])
    const all = await Promise.all(databases.map(up))
    for (const names of all) expect(names).toEqual(all[0])
  })

  it('go on where one was killed that held knex’s own lock', async () => {
    const database = await emptyDatabase()
    await up(database)
    await database.sql('update gateway_migrations_lock set is_locked = 1')
    expect(await up(database)).toEqual([])
    expect((await down(database)).length).toBeGreaterThan(0)
  })

  it('leave the lock when their work fails, so that the next can come', async () => {
    const database = await emptyDatabase()
    await expect(
      withMigrator(database.ownerUrl, () => Promise.reject(new Error('power cut'))),
    ).rejects.toThrow('power cut')
    expect((await up(database)).length).toBeGreaterThan(0)
  })

  it('that cannot be applied leave nothing half done', async () => {
    const database = await emptyDatabase()
    await database.sql('create table portal_clients (id int)') // somebody else’s
    const before = await inventory(database)
    const error = await up(database).catch((reason: unknown) => reason)
    expect(String(error)).toMatch(/portal_clients.*already exists/)
    expect(String(error)).not.toMatch(/create table users/) // the database’s words, not the migration’s text
    expect(await inventory(database)).toEqual(before)
    await database.sql('drop table portal_clients')
    expect((await up(database)).length).toBeGreaterThan(0)
  })
})

describe('the demo data', () => {
  it('is inserted once, also by many at once, and holds whom the documentation promises', async () => {
    const database = await emptyDatabase()
    await up(database)
    await Promise.all([seed(database), seed(database), seed(database)])
    const names = await database.sql<{ username: string }>('select username from users order by id')
    expect(names.map(({ username }) => username)).toEqual([
      'root',
      'petra',
      'alice',
      'bob',
      'carol',
      'dave',
      'erin',
      'frank',
      'reports',
    ])
    expect(await database.sql(`select count(*)::int as n from user_mandates`)).toEqual([{ n: 10 }])
    expect(
      await database.sql(
        `select token_hash = encode(sha256('demo-portal-link-token'), 'hex') as same from portal_access_tokens`,
      ),
    ).toEqual([{ same: true }])
  })

  it('undoes nothing that was changed, added or removed since', async () => {
    const database = await emptyDatabase()
    await up(database)
    await seed(database)
    await database.sql(
      `update users set enabled = false, email = 'changed@example.com', password_hash = 'changed' where id = $1`,
      [users.alice],
    )
    await database.sql('update users set is_sys_admin = false where id = $1', [users.root])
    await database.sql('delete from users where id = $1', [users.bob])
    await database.sql(`delete from access_rules where item = 'crm'`)
    await seed(database)
    expect(
      await database.sql('select enabled, email, password_hash from users where id = $1', [users.alice]),
    ).toEqual([{ enabled: false, email: 'changed@example.com', password_hash: 'changed' }])
    expect(await database.sql('select is_sys_admin from users where id = $1', [users.root])).toEqual([
      { is_sys_admin: false },
    ])
    expect(await database.sql('select 1 from users where id = $1', [users.bob])).toEqual([])
    expect(await database.sql(`select 1 from access_rules where item = 'crm'`)).toEqual([])
  })

  it('does not come back when its SysAdmin was removed, as anybody should do first', async () => {
    const database = await emptyDatabase()
    await up(database)
    await seed(database)
    await database.sql('delete from users where id = any($1)', [[users.root, users.bob]])
    await seed(database)
    expect(
      await database.sql('select username from users where id = any($1)', [[users.root, users.bob]]),
    ).toEqual([])
  })
})

describe('the role of requests, gateway_app', () => {
  it('owns nothing, is no superuser, bypasses no row-level security and cannot log in', async () => {
    const { sql } = await demoDatabase()
    expect(
      await sql(
        `select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin
          from pg_roles
          where rolname = 'gateway_app'`,
      ),
    ).toEqual([
      { rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false, rolcanlogin: false },
    ])
    expect(
      await sql(`select relname from pg_class where pg_get_userbyid(relowner) in ('gateway_app', 'gateway')`),
    ).toEqual([])
    expect(
      await sql(`select proname from pg_proc where pg_get_userbyid(proowner) in ('gateway_app', 'gateway')`),
    ).toEqual([])
    expect(
      await sql(
        `select nspname from pg_namespace where pg_get_userbyid(nspowner) in ('gateway_app', 'gateway')`,
      ),
    ).toEqual([])
  })

  it('may add to the audit, and neither change nor remove what is there', async () => {
    const database = await demoDatabase()
    const app = connect({ url: database.url, setRole: false })
    await app.run(`insert into audit_events (action) values ('x')`)
    for (const statement of [
      `update audit_events set action = 'y'`,
      'delete from audit_events',
      'truncate audit_events',
      'drop table audit_events',
      'alter table audit_events disable trigger all',
      'alter table audit_events owner to gateway_app',
    ]) {
      await expect(app.run(statement)).rejects.toMatchObject({ cause: { code: '42501' } })
    }
    expect(await database.sql(`select action from audit_events where action in ('x', 'y')`)).toEqual([
      { action: 'x' },
    ])
  })

  it('may change no table’s form and make none of its own', async () => {
    const database = await demoDatabase()
    const app = connect({ url: database.url, setRole: false })
    for (const statement of [
      'alter table users add column x int',
      'drop table users',
      'truncate users',
      'create table mine (x int)',
      'create schema mine',
      'alter table users disable row level security',
      'create function f() returns int language sql as $$ select 1 $$',
      'set role postgres',
      'alter role gateway_app superuser',
      'update gateway_migrations set name = name',
      'delete from gateway_migrations',
    ]) {
      await expect(app.run(statement)).rejects.toMatchObject({ cause: { code: '42501' } })
    }
  })

  it('is what every connection becomes that logs in as the owner alone', async () => {
    const database = await demoDatabase()
    const pool = connect({ url: database.ownerUrl, setRole: true, poolSize: 3 })
    const roles = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(
        async () =>
          (
            await pool.rows<{ who: string; pid: number }>(
              'select current_user as who, pg_backend_pid() as pid, pg_sleep(0.05)',
            )
          )[0],
      ),
    )
    expect(new Set(roles.map((row) => row?.pid)).size).toBeGreaterThan(1)
    for (const row of roles) expect(row?.who).toBe('gateway_app')
    await expect(pool.run('delete from audit_events')).rejects.toMatchObject({ cause: { code: '42501' } })
    expect(
      await pool.transaction(
        async (tx) => (await tx.rows<{ who: string }>('select current_user as who'))[0]?.who,
      ),
    ).toBe('gateway_app')
  })

  it('is what the recommended login is a member of, and nothing else', async () => {
    const database = await demoDatabase()
    const pool = connect({ url: database.url, setRole: false })
    expect(
      await pool.rows(
        `select r.rolname
          from pg_auth_members m
          join pg_roles r on r.oid = m.roleid
          where m.member = (select oid from pg_roles where rolname = session_user)`,
      ),
    ).toEqual([{ rolname: 'gateway_app' }])
  })
})

describe('other programs', () => {
  it('need only the named columns of each table, and gateway_app may write all but the audit’s past', async () => {
    const database = await demoDatabase()
    const id = () => randomUUID()
    const [user, mandate, membership, instance, access, role, session, client, project] = [
      id(),
      id(),
      id(),
      id(),
      id(),
      id(),
      id(),
      id(),
      id(),
    ]
    const app = connect({ url: database.url, setRole: false })
    const insert = async (table: string, row: Record<string, string | boolean | Date | null>) => {
      const columns = Object.keys(row).map((name) => `"${name}"`)
      await app.run(
        `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`,
        Object.values(row),
      )
    }
    await insert('users', {
      id: user,
      username: 'imported',
      email: null,
      full_name: null,
      password_hash: null,
      enabled: true,
      is_sys_admin: false,
      is_platform_admin: false,
    })
    await insert('mandates', { id: mandate, slug: 'imported', label: 'Imported', enabled: true })
    await insert('user_mandates', { id: membership, user_id: user, mandate_id: mandate, enabled: true })
    await insert('roles', { id: role, mandate_id: mandate, feature_instance_id: null, label: 'imported' })
    await insert('user_mandate_roles', { user_mandate_id: membership, role_id: role })
    await insert('features', { code: 'imported', label: 'Imported' })
    await insert('feature_instances', {
      id: instance,
      mandate_id: mandate,
      feature_code: 'imported',
      label: 'imported',
      enabled: true,
    })
    await insert('feature_access', {
      id: access,
      user_id: user,
      feature_instance_id: instance,
      enabled: true,
    })
    await insert('feature_access_roles', { feature_access_id: access, role_id: role })
    await insert('access_rules', {
      id: id(),
      role_id: role,
      context: 'DATA',
      item: null,
      view: true,
      read: 'a',
      create: 'n',
      update: 'm',
      delete: 'g',
    })
    await insert('sessions', { id: session, user_id: user, authority: 'local', ended_at: null })
    const times = { issued_at: new Date(), expires_at: new Date(Date.now() + 1000) }
    for (const purpose of ['auth_session', 'api_token', 'data_connection']) {
      await insert('tokens', {
        id: id(),
        user_id: user,
        authority: 'google',
        purpose,
        session_id: null,
        status: 'active',
        ...times,
        revoked_at: null,
      })
    }
    // no check spans columns
    await insert('tokens', {
      id: id(),
      user_id: user,
      authority: 'msft',
      purpose: 'auth_session',
      session_id: session,
      status: 'revoked',
      ...times,
      revoked_at: null,
    })
    await insert('tokens', {
      id: id(),
      user_id: user,
      authority: 'local',
      purpose: 'auth_session',
      session_id: session,
      status: 'active',
      ...times,
      revoked_at: new Date(),
    })
    await insert('audit_events', {
      user_id: user,
      mandate_id: 'system',
      action: 'imported',
      details: '{"a":1}',
      request_id: 'x',
    })
    await insert('audit_events', {
      occurred_at: new Date(),
      user_id: null,
      mandate_id: mandate,
      action: 'imported',
      details: '{}',
      request_id: null,
    })
    await insert('portal_clients', {
      id: client,
      mandate_id: mandate,
      name: 'Imported',
      slug: 'imported',
      active: true,
    })
    await insert('projects', {
      id: project,
      mandate_id: mandate,
      name: 'Imported',
      client_name: null,
      client_id: client,
    })
    await insert('portal_access_tokens', {
      id: id(),
      client_id: client,
      token_hash: 'a'.repeat(64),
      label: null,
      revoked_at: null,
      last_used_at: null,
    })
    expect(
      await database.sql(
        `select mandate_id, details from audit_events where action = 'imported' order by seq`,
      ),
    ).toEqual([
      { mandate_id: 'system', details: { a: 1 } },
      { mandate_id: mandate, details: {} },
    ])
  })

  it('cannot store two rules of one role for the same context and item, nor two for all items', async () => {
    const { sql } = await demoDatabase()
    const role = '00000000-0000-4000-8000-000000000401'
    await sql(
      `insert into access_rules (role_id, context, item)
        values ($1, 'UI', null), ($1, 'RESOURCE', null), ($1, 'UI', 'crm.contacts')`,
      [role],
    )
    await expect(
      sql(`insert into access_rules (role_id, context, item) values ($1, 'UI', null)`, [role]),
    ).rejects.toMatchObject({ code: '23505' })
    await expect(
      sql(`insert into access_rules (role_id, context, item) values ($1, 'UI', 'crm.contacts')`, [role]),
    ).rejects.toMatchObject({ code: '23505' })
    await expect(
      sql(`update access_rules set item = null where role_id = $1 and item = 'crm.contacts'`, [role]),
    ).rejects.toMatchObject({ code: '23505' })
  })

  it('cannot store levels, contexts, purposes, states that are none, or a malformed authority', async () => {
    const { sql } = await demoDatabase()
    const role = '00000000-0000-4000-8000-000000000401'
    for (const [statement, values] of [
      [`insert into access_rules (role_id, context, item, "read") values ($1, 'UI', 'x', 'x')`, [role]],
      [`insert into access_rules (role_id, context, item) values ($1, 'ui', 'x')`, [role]],
      [`insert into sessions (user_id, authority) values ($1, 'GitHub')`, [users.alice]],
      [
        `insert into tokens (user_id, authority, purpose, expires_at) values ($1, 'local', 'refresh', now())`,
        [users.alice],
      ],
      [
        `insert into tokens (user_id, authority, status, expires_at) values ($1, 'local', 'expired', now())`,
        [users.alice],
      ],
    ] as const) {
      await expect(sql(statement, [...values])).rejects.toMatchObject({ code: '23514' })
    }
    for (const name of ['alice', 'Alice'])
      await expect(sql('insert into users (username) values ($1)', [name])).rejects.toMatchObject({
        code: '23505',
      })
    await expect(
      sql(
        `insert into portal_clients (mandate_id, name, slug)
          values ('00000000-0000-4000-8000-000000000101', 'x', 'northwind')`,
      ),
    ).rejects.toMatchObject({ code: '23505' })
  })
})
