import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { instances, mandates, roles, users } from '../support/demo.js'

const id = (digits: string) => `00000000-0000-4000-8000-${digits.padStart(12, '0')}`
const [session, token, second, other] = [id('a01'), id('a02'), id('a03'), id('aff')]
/**
 * Of the demo data: Bob's membership in Acme with the role viewer, his access to Acme's CRM with the role
 * crm-reader, a rule of viewer's.
 */
const [membership, access, rule] = [id('704'), id('803'), id('601')]
/** Likewise: Northwind, and its link. */
const [client, link] = [id('501'), id('901')]

const membershipKeys = [`membership:${users.bob}:${mandates.acme}`, `member:${membership}`]
const accessKeys = [`access:${users.bob}:${instances.acmeCrm}`, `accessor:${access}`]
const userKeys = (user: string, username: string) => [`user:${user}`, `username:${username}`]

describe('what is announced', () => {
  let database: TestDatabase
  let owner: pg.Client

  beforeAll(async () => {
    database = await createTestDatabase()
    await database.sql(
      `insert into sessions (id, user_id, authority) values ('${session}', '${users.bob}', 'local')`,
    )
    await database.sql(`insert into tokens (id, user_id, authority, session_id, expires_at) values
      ('${token}', '${users.bob}', 'local', '${session}', 'infinity'),
          ('${second}', '${users.bob}', 'local', '${session}', 'infinity')`)
    owner = new pg.Client(database.ownerUrl)
    await owner.connect()
  })
  afterAll(async () => {
    await owner.end()
    await database.drop()
  })
  beforeEach(() => owner.query('begin'))
  afterEach(() => owner.query('rollback'))

  /** The keys that the open transaction has announced, as others will read them after its commit. */
  const announced = async () =>
    (
      await owner.query<{ key: string }>(
        'select key from coherence.changes where xid = pg_current_xact_id_if_assigned() order by key',
      )
    ).rows.map(({ key }) => key)
  const setting = async () =>
    (await owner.query<{ value: string }>(`select current_setting('synchronous_commit') as value`)).rows[0]!
      .value
  const sorted = (keys: readonly string[]) => [...keys].sort()

  it.each<[string, string, readonly string[]]>([
    [
      'a token revoked',
      `update tokens set status = 'revoked', revoked_at = now() where id = '${token}'`,
      [`token:${token}`],
    ],
    [
      'a token that expires sooner',
      `update tokens set expires_at = now() where id = '${token}'`,
      [`token:${token}`],
    ],
    [
      'a token issued at another time, for which other proofs count',
      `update tokens set issued_at = now() + '1 hour' where id = '${token}'`,
      [`token:${token}`],
    ],
    ...['created_at', 'auth_time', 'mfa_at', 'phr_at'].map((column): [string, string, string[]] => [
      `a session proved at another time (${column})`,
      `update sessions set ${column} = now() + '1 hour' where id = '${session}'`,
      [`session:${session}`],
    ]),
    [
      'a session proved in another way',
      `update sessions set amr = '{pwd,otp,mfa}' where id = '${session}'`,
      [`session:${session}`],
    ],
    [
      'a token given to another user',
      `update tokens set user_id = '${users.alice}' where id = '${token}'`,
      [`token:${token}`],
    ],
    [
      'a token that counts again',
      `
        update tokens set status = 'revoked' where id = '${token}';
        delete from coherence.changes;
        update tokens set status = 'active' where id = '${token}'`,
      [`token:${token}`],
    ],
    [
      'a token without its session',
      `update tokens set session_id = null where id = '${token}'`,
      [`token:${token}`],
    ],
    [
      'a token under another id',
      `update tokens set id = '${other}' where id = '${token}'`,
      [`token:${token}`, `token:${other}`],
    ],
    [
      'tokens deleted',
      `delete from tokens where user_id = '${users.bob}'`,
      [`token:${token}`, `token:${second}`],
    ],
    [
      'a session ended',
      `update sessions set ended_at = now() where id = '${session}'`,
      [`session:${session}`],
    ],
    [
      'a session deleted, and with it its tokens',
      `delete from sessions where id = '${session}'`,
      [`session:${session}`, `token:${token}`, `token:${second}`],
    ],
    [
      'a user disabled',
      `update users set enabled = false where username = 'bob'`,
      userKeys(users.bob, 'bob'),
    ],
    [
      'a user without a right',
      `update users set is_platform_admin = false where username = 'petra'`,
      userKeys(users.petra, 'petra'),
    ],
    [
      'a user renamed',
      `update users set username = 'robert' where username = 'bob'`,
      [...userKeys(users.bob, 'bob'), 'username:robert'],
    ],
    ['a new user', `insert into users (id, username) values ('${other}', 'new')`, userKeys(other, 'new')],
    [
      'a user deleted, and with it all that depended on it',
      `delete from users where username = 'bob'`,
      [
        ...userKeys(users.bob, 'bob'),
        ...membershipKeys,
        ...accessKeys,
        `member:${membership}`,
        `accessor:${access}`,
        `session:${session}`,
        `token:${token}`,
        `token:${second}`,
      ],
    ],
    [
      'a mandate disabled',
      `update mandates set enabled = false where slug = 'acme'`,
      [`mandate:${mandates.acme}`],
    ],
    [
      'a new mandate',
      `insert into mandates (id, slug, label) values ('${other}', 'new', 'New')`,
      [`mandate:${other}`],
    ],
    [
      'a membership disabled',
      `update user_mandates set enabled = false where id = '${membership}'`,
      membershipKeys,
    ],
    [
      'a membership moved to another mandate',
      `update user_mandates set mandate_id = '${mandates.globex}' where id = '${membership}'`,
      [...membershipKeys, `membership:${users.bob}:${mandates.globex}`],
    ],
    [
      'a new membership',
      `insert into user_mandates (id, user_id, mandate_id) values ('${other}', '${users.bob}', '${mandates.globex}')`,
      [`membership:${users.bob}:${mandates.globex}`, `member:${other}`],
    ],
    [
      'a membership deleted, and with it its roles',
      `delete from user_mandates where id = '${membership}'`,
      [...membershipKeys, `member:${membership}`],
    ],
    [
      'a role in a mandate taken away',
      `delete from user_mandate_roles where user_mandate_id = '${membership}'`,
      [`member:${membership}`],
    ],
    [
      'a role in a mandate given',
      `insert into user_mandate_roles values ('${membership}', '${roles.acmeAdmin}')`,
      [`member:${membership}`],
    ],
    [
      'a role in a mandate exchanged',
      `update user_mandate_roles set role_id = '${roles.acmeAdmin}' where user_mandate_id = '${membership}'`,
      [`member:${membership}`],
    ],
    [
      'an instance disabled',
      `update feature_instances set enabled = false where id = '${instances.acmeCrm}'`,
      [`instance:${instances.acmeCrm}`],
    ],
    [
      'an instance moved to another mandate',
      `update feature_instances set mandate_id = '${mandates.globex}' where id = '${instances.acmeCrm}'`,
      [`instance:${instances.acmeCrm}`],
    ],
    [
      'a new instance',
      `insert into feature_instances (id, mandate_id, feature_code, label)
        values ('${other}', '${mandates.acme}', 'crm', 'New')`,
      [`instance:${other}`],
    ],
    ['an access disabled', `update feature_access set enabled = false where id = '${access}'`, accessKeys],
    [
      'a new access',
      `insert into feature_access (id, user_id, feature_instance_id)
        values ('${other}', '${users.bob}', '${instances.globexCrm}')`,
      [`access:${users.bob}:${instances.globexCrm}`, `accessor:${other}`],
    ],
    [
      'an access deleted, and with it its roles',
      `delete from feature_access where id = '${access}'`,
      [...accessKeys, `accessor:${access}`],
    ],
    [
      'a role on an instance taken away',
      `delete from feature_access_roles where feature_access_id = '${access}'`,
      [`accessor:${access}`],
    ],
    [
      'a role on an instance given',
      `insert into feature_access_roles values ('${access}', '${roles.crmEditor}')`,
      [`accessor:${access}`],
    ],
    [
      'a role on an instance exchanged',
      `update feature_access_roles set role_id = '${roles.crmEditor}' where feature_access_id = '${access}'`,
      [`accessor:${access}`],
    ],
    [
      'a role with another scope',
      `update roles set mandate_id = '${mandates.globex}' where id = '${roles.acmeAdmin}'`,
      [`role:${roles.acmeAdmin}`],
    ],
    ['a new role', `insert into roles (id, label) values ('${other}', 'new')`, [`role:${other}`]],
    [
      'a rule narrowed',
      `update access_rules set "read" = 'n' where id = '${rule}'`,
      [`role:${roles.viewer}`],
    ],
    [
      'a rule given to another role',
      `update access_rules set role_id = '${roles.crmReader}', item = 'elsewhere' where id = '${rule}'`,
      [`role:${roles.viewer}`, `role:${roles.crmReader}`],
    ],
    [
      'a new rule',
      `insert into access_rules (role_id, context, item) values ('${roles.viewer}', 'DATA', 'new')`,
      [`role:${roles.viewer}`],
    ],
    [
      'rules deleted, the role once',
      `delete from access_rules where role_id = '${roles.viewer}'`,
      [`role:${roles.viewer}`],
    ],
    [
      'an upsert that inserts',
      `insert into mandates (id, slug, label)
        values ('${other}', 'new', 'New')
        on conflict (slug) do update set enabled = false`,
      [`mandate:${other}`],
    ],
    [
      'an upsert that updates',
      `insert into mandates (slug, label) values ('acme', 'Acme') on conflict (slug) do update set enabled = false`,
      [`mandate:${mandates.acme}`],
    ],
    [
      'an upsert that does both',
      `insert into mandates (id, slug, label)
        values ('${other}', 'new', 'New'), (gen_random_uuid(), 'acme', 'Acme')
        on conflict (slug) do update set enabled = false`,
      [`mandate:${mandates.acme}`, `mandate:${other}`],
    ],
    [
      'a statement within another',
      `with gone as (delete from user_mandate_roles where user_mandate_id = '${membership}')
        update mandates
        set enabled = false
        where slug = 'acme'`,
      [`mandate:${mandates.acme}`, `member:${membership}`],
    ],
    [
      'a portal link revoked',
      `update portal_access_tokens set revoked_at = now() where id = '${link}'`,
      [`link:${link}`],
    ],
    [
      'a portal link that ends sooner',
      `update portal_access_tokens set expires_at = now() where id = '${link}'`,
      [`link:${link}`],
    ],
    ['a portal link deleted', `delete from portal_access_tokens where id = '${link}'`, [`link:${link}`]],
    [
      'a portal client deactivated',
      `update portal_clients set active = false where id = '${client}'`,
      [`client:${client}`],
    ],
    [
      'a portal client moved to another mandate',
      `update portal_clients set mandate_id = '${mandates.globex}' where id = '${client}'`,
      [`client:${client}`],
    ],
    [
      'a portal client deleted, and with it the links',
      `delete from portal_clients where id = '${client}'`,
      [`client:${client}`, `link:${link}`],
    ],
    [
      'two rows that exchange a value',
      `update user_mandates set enabled = not enabled where id in ('${membership}', '${id('705')}')`,
      [...membershipKeys, `membership:${users.carol}:${mandates.acme}`, `member:${id('705')}`],
    ],
  ])('%s', async (_what, statement, keys) => {
    await owner.query('set local synchronous_commit = off')
    await owner.query(statement)
    expect(await announced()).toEqual(sorted(keys))
    expect(await setting()).toBe('on')
  })

  it('a role deleted, and with it its rules and all that it was given to', async () => {
    await owner.query(`delete from roles where id = '${roles.crmReader}'`)
    expect(await announced()).toEqual(
      sorted([`role:${roles.crmReader}`, `role:${roles.crmReader}`, `accessor:${access}`]),
    )
  })

  it('a mandate deleted, and with it its memberships, instances, roles, portal clients and links', async () => {
    await owner.query(`delete from mandates where slug = 'acme'`)
    expect(new Set(await announced())).toEqual(
      new Set([
        `mandate:${mandates.acme}`,
        `instance:${instances.acmeCrm}`,
        `instance:${instances.acmeArchive}`,
        `role:${roles.acmeAdmin}`,
        `role:${roles.crmReader}`,
        `role:${roles.crmEditor}`,
        ...[
          [users.alice, '701'],
          [users.bob, '704'],
          [users.carol, '705'],
          [users.dave, '707'],
          [users.frank, '708'],
          [users.reports, '710'],
        ].flatMap(([user, row]) => [`membership:${user}:${mandates.acme}`, `member:${id(row!)}`]),
        `client:${client}`,
        `link:${link}`,
        `access:${users.alice}:${instances.acmeCrm}`,
        `accessor:${id('801')}`,
        `access:${users.alice}:${instances.acmeArchive}`,
        `accessor:${id('802')}`,
        ...accessKeys,
      ]),
    )
  })

  it.each<[string, string]>([
    [
      'a token issued',
      `insert into tokens (user_id, authority, session_id, expires_at)
        values ('${users.bob}', 'local', '${session}', 'infinity')`,
    ],
    ['a session begun', `insert into sessions (user_id, authority) values ('${users.bob}', 'local')`],
    [
      'a session seen',
      `update sessions set last_seen_at = now() + '1 hour', address = '192.0.2.1', user_agent = 'another'`,
    ],
    ['a token named', `update tokens set label = 'another'`],
    ['a session used where a policy asks for it', `update sessions set last_used_at = now()`],
    ['a portal link used', `update portal_access_tokens set last_used_at = now() where id = '${link}'`],
    [
      'a portal client made, and a link',
      `
        insert into portal_clients (id, mandate_id, name, slug)
          values ('${other}', '${mandates.acme}', 'New', 'new');
        insert into portal_access_tokens (client_id, token_hash) values ('${other}', repeat('0', 64))`,
    ],
    ['a project linked to a client', `update projects set client_id = '${client}'`],
    [
      'tokens that have expired revoked',
      `insert into tokens (user_id, authority, expires_at) values ('${users.bob}', 'local', now() - interval '2 hours');
      update tokens set status = 'revoked' where expires_at < now(); delete from tokens where expires_at < now()`,
    ],
    [
      'a token that was revoked before deleted',
      `
        insert into tokens (user_id, authority, status, expires_at)
          values ('${users.bob}', 'local', 'revoked', 'infinity');
        delete from tokens where status = 'revoked'`,
    ],
    [
      'a session that had ended before deleted',
      `
        insert into sessions (user_id, authority, ended_at) values ('${users.bob}', 'local', now());
        delete from sessions where ended_at is not null`,
    ],
    ['a password changed', `update users set password_hash = 'another'`],
    ['labels changed', `update mandates set label = 'another', slug = slug || '-renamed'`],
    ['an instance named', `update feature_instances set label = 'another'`],
    ['a role named', `update roles set label = 'another'`],
    ['rows touched', `update access_rules set updated_at = now() + '1 hour'`],
    ['an update that changes nothing', `update users set enabled = enabled, username = username`],
    ['an update of no row', `update users set enabled = false where false`],
    ['a deletion of no row', `delete from user_mandates where false`],
    [
      'an upsert that does nothing',
      `insert into mandates (slug, label) values ('acme', 'Acme') on conflict do nothing`,
    ],
    [
      'an upsert that changes nothing',
      `insert into mandates (slug, label) values ('acme', 'Acme') on conflict (slug) do update set label = 'another'`,
    ],
  ])('nothing of %s', async (_what, statement) => {
    await owner.query('set local synchronous_commit = off')
    await owner.query(statement)
    expect(await announced()).toEqual([])
    expect(await setting()).toBe('off')
  })

  it.each([
    'tokens',
    'sessions',
    'users',
    'mandates',
    'user_mandates',
    'user_mandate_roles',
    'feature_instances',
    'feature_access',
    'feature_access_roles',
    'roles',
    'access_rules',
    'portal_clients',
    'portal_access_tokens',
  ])('%s truncated: everything, also by triggers that a replica would skip', async (table) => {
    await owner.query(`set local session_replication_role = replica`)
    await owner.query(`truncate ${table} cascade`)
    expect(new Set(await announced())).toEqual(new Set(['*']))
    const { rows } = await owner.query(
      `select tgname, tgenabled from pg_trigger where tgrelid = $1::regclass and tgname like 'coherence_%' order by 1`,
      [table],
    )
    const events = [
      'delete',
      ...(['tokens', 'sessions', 'portal_clients', 'portal_access_tokens'].includes(table) ? [] : ['insert']),
      'truncate',
      'update',
    ]
    expect(rows).toEqual(events.map((event) => ({ tgname: `coherence_${event}`, tgenabled: 'A' })))
  })

  it('a change that logical replication brings', async () => {
    await owner.query(`set local session_replication_role = replica`)
    await owner.query(`update users set enabled = false where username = 'bob'`)
    await owner.query(`delete from user_mandate_roles where user_mandate_id = '${membership}'`)
    await owner.query(`insert into mandates (id, slug, label) values ('${other}', 'new', 'New')`)
    expect(await announced()).toEqual(
      sorted([...userKeys(users.bob, 'bob'), `member:${membership}`, `mandate:${other}`]),
    )
  })

  it('each of 20,000 keys of one statement, and everything past that', async () => {
    await owner.query(`insert into roles (label) select 'many' from generate_series(1, 20000)`)
    expect((await announced()).filter((key) => key.startsWith('role:'))).toHaveLength(20_000)
    await owner.query('delete from coherence.changes')
    await owner.query(`insert into roles (label) select 'too many' from generate_series(1, 20001)`)
    expect(await announced()).toEqual(['*'])
    await owner.query('delete from coherence.changes')
    await owner.query(`delete from roles where label = 'too many'`)
    expect(await announced()).toEqual(['*'])
  })

  it('a user has two keys: 10,001 of them updated are everything', async () => {
    await owner.query(`insert into users (username) select 'user-' || n from generate_series(1, 10001) as n`)
    expect(await announced()).toEqual(['*'])
    await owner.query('delete from coherence.changes')
    await owner.query(
      `update users set enabled = false where username like 'user-%' and username <> 'user-1'`,
    )
    expect(await announced()).toHaveLength(20_000)
    await owner.query('delete from coherence.changes')
    await owner.query(`update users set enabled = not enabled where username like 'user-%'`)
    expect(await announced()).toEqual(['*'])
  })

  it.each<[string, string, string, string]>([
    [
      'more than 20 tokens of one user by that user',
      `insert into tokens (user_id, authority, expires_at)
        select '${users.bob}', 'local', 'infinity'
        from generate_series(1, 19)`,
      `update tokens set status = 'revoked' where user_id = '${users.bob}'`,
      `user:${users.bob}`,
    ],
    [
      'more than 20 sessions of one user by that user',
      `insert into sessions (user_id, authority) select '${users.bob}', 'local' from generate_series(1, 20)`,
      `update sessions set ended_at = now() where user_id = '${users.bob}'`,
      `user:${users.bob}`,
    ],
    [
      'more than 1,000 memberships of one mandate by that mandate',
      `insert into users (username) select 'new-' || n from generate_series(1, 1001) as n`,
      `insert into user_mandates (user_id, mandate_id)
        select id, '${mandates.globex}'
        from users
        where username like 'new-%'`,
      `mandate:${mandates.globex}`,
    ],
    [
      'more than 1,000 accesses of one instance by that instance',
      `insert into users (username) select 'new-' || n from generate_series(1, 1001) as n`,
      `insert into feature_access (user_id, feature_instance_id)
        select id, '${instances.globexCrm}'
        from users
        where username like 'new-%'`,
      `instance:${instances.globexCrm}`,
    ],
    [
      'more than 20 links of one portal client by that client',
      `insert into portal_access_tokens (client_id, token_hash)
        select '${client}', encode(sha256(n::text::bytea), 'hex')
        from generate_series(1, 20) as n`,
      `update portal_access_tokens set revoked_at = now() where client_id = '${client}'`,
      `client:${client}`,
    ],
  ])('%s', async (_what, preparation, statement, key) => {
    await owner.query(preparation)
    await owner.query('delete from coherence.changes')
    await owner.query(statement)
    expect(await announced()).toEqual([key])
  })

  it('names few rows of a person one by one, beside another person of whom the statement changes many', async () => {
    const [alices] = (
      await owner.query<{ id: string }>(
        `insert into tokens (user_id, authority, expires_at)
          values ('${users.alice}', 'local', 'infinity')
          returning id`,
      )
    ).rows
    await owner.query(
      `insert into tokens (user_id, authority, expires_at)
        select '${users.bob}', 'local', 'infinity'
        from generate_series(1, 400)`,
    )
    await owner.query(`update tokens set status = 'revoked'`)
    expect(await announced()).toEqual(sorted([`token:${alices!.id}`, `user:${users.bob}`]))
  })

  it('rows that are copied in', async () => {
    await owner.query(`copy users (username) from program 'echo copied'`)
    expect(await announced()).toEqual([expect.stringMatching(/^user:/), 'username:copied'])
    await owner.query('delete from coherence.changes')
    await owner.query(`copy users (username) from program 'seq -f copied-%g 10001'`)
    expect(await announced()).toEqual(['*'])
  })

  it('nothing of a savepoint that was rolled back, and the rest under the transaction’s own id', async () => {
    await owner.query('set local synchronous_commit = off')
    await owner.query('savepoint one')
    await owner.query(`update users set enabled = false where username = 'bob'`)
    await owner.query('rollback to savepoint one')
    expect(await announced()).toEqual([])
    await owner.query('savepoint two')
    await owner.query(`update users set enabled = false where username = 'alice'`)
    await owner.query('release savepoint two')
    await owner.query(`update mandates set enabled = false where slug = 'acme'`)
    expect(await announced()).toEqual(sorted([...userKeys(users.alice, 'alice'), `mandate:${mandates.acme}`]))
    expect(await setting()).toBe('on')
  })

  it('changes by the gateway’s own login, which can write nowhere else', async () => {
    await owner.query('set local role gateway_app')
    await owner.query(`update users set enabled = false where username = 'bob'`)
    expect(await announced()).toEqual(sorted(userKeys(users.bob, 'bob')))
    await expect(owner.query(`update coherence.changes set key = ''`)).rejects.toThrow('permission denied')
  })

  it('changes, also if the session has temporary tables of the same names', async () => {
    await owner.query(
      `
        create temporary table changes (key text);
        create temporary table old_rows (id int);
        create temporary table users (id int)`,
    )
    await owner.query(`set local search_path = pg_temp, public`)
    await owner.query(`update public.users set enabled = false where username = 'bob'`)
    expect(await announced()).toEqual(sorted(userKeys(users.bob, 'bob')))
  })
})
