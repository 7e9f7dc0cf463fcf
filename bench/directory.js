/**
 * `node bench/directory.js [users] [mandates]`: fills a directory (1,000,000 users in 10,000 mandates),
 * measures its lists and searches through the gateway, and prints the plans of their statements, as the
 * gateway's own role has them. Run it after `npm run build`.
 */
import pg from 'pg'
import { listMembers, memberships } from '../dist/directory/member-queries.js'
import { listMandates, searchMandates } from '../dist/directory/mandate-queries.js'
import { listRoles } from '../dist/directory/role-queries.js'
import { listUsers, searchUsers } from '../dist/directory/user-queries.js'
import { acme, alice, loginAll, startDatabase, startGateway, startServer } from './processes.js'

const [userCount, mandateCount] = [Number(process.argv[2] ?? 1_000_000), Number(process.argv[3] ?? 10_000)]
const petra = { id: '00000000-0000-4000-8000-000000000002', username: 'petra' }
const rounds = 100
const goalMs = 50

/** Returns SQL that picks one of these words by the row's number. @param {string} words */
const oneOf = (words) => {
  const all = words.split(' ')
  return `('{${all.join()}}'::text[])[1 + n % ${all.length}]`
}

async function fill({ sql }) {
  const first = oneOf('Ada Grace Alan Edsger Barbara Donald Margaret Tony Frances Ken')
  const last = oneOf(
    'Lovelace Hopper Turing Dijkstra Liskov Knuth Hamilton Hoare Allen Thompson Kay Wirth Milner',
  )
  await sql(
    `insert into mandates (slug, label) select 'mandate-' || n, 'Company ' || n from generate_series(1, $1::int) as n`,
    [mandateCount],
  )
  for (let from = 1; from <= userCount; from += 100_000) {
    await sql(
      `insert into users (username, email, full_name, enabled, created_at)
      select 'person' || n, 'person' || n || '@mail' || n % 500 || '.example', ${first} || ' ' || ${last} || n,
          n % 1000 <> 0, now() - n * interval '1 second'
        from generate_series($1::int, $2::int) as n`,
      [from, Math.min(userCount, from + 99_999)],
    )
    process.stdout.write(`${Math.min(userCount, from + 99_999)} users\n`)
  }
  await sql(
    `create unlogged table numbered as
      select id, row_number() over (order by slug) - 1 as n
      from mandates
      where slug like $1`,
    ['mandate-%'],
  )
  await sql(
    `insert into roles (mandate_id, label)
      select id, label
      from numbered, (values ('admin'), ('editor'), ('reader')) as labels (label)`,
  )
  await sql(
    `insert into access_rules (role_id, context, item, "read")
      select id, 'RESOURCE', 'crm.' || label, 'a'
      from roles
      where mandate_id in (select id from numbered)`,
  )
  await sql(
    `insert into user_mandates (user_id, mandate_id)
      select u.id, m.id
      from users u
      join numbered m on m.n = substr(u.username, 7)::int % $1
      where u.username like 'person%'`,
    [mandateCount],
  )
  await sql('drop table numbered')
  await sql('vacuum analyze')
}

/** Each list: how it is asked for over HTTP, and its statement. `n` differs from request to request. */
const listsOf = ({ someMandate }) => {
  const everybody = { enabled: undefined, level: undefined, serviceAccount: undefined }
  const page = { after: undefined, atMost: 51 }
  const members = { q: undefined, enabled: undefined, roleId: undefined, ...page }
  const roles = {
    seenIn: undefined,
    scope: undefined,
    mandateId: undefined,
    instanceId: undefined,
    q: undefined,
    ...page,
  }
  const middle = `person${userCount / 2}`
  const cursor = Buffer.from(JSON.stringify(JSON.stringify([middle]))).toString('base64url')
  return [
    ['users', () => '/admin/users', (sql) => listUsers(sql, everybody, 'username', page)],
    [
      'users, from the middle',
      () => `/admin/users?cursor=${cursor}`,
      (sql) => listUsers(sql, everybody, 'username', { ...page, after: [middle] }),
    ],
    [
      'users, newest first',
      () => '/admin/users?sort=-createdAt',
      (sql) => listUsers(sql, everybody, '-createdAt', page),
    ],
    [
      'users, disabled',
      () => '/admin/users?enabled=false',
      (sql) => listUsers(sql, { ...everybody, enabled: false }, 'username', page),
    ],
    [
      'users, platform admins',
      () => '/admin/users?level=platformAdmin',
      (sql) => listUsers(sql, { ...everybody, level: 'platformAdmin' }, 'username', page),
    ],
    [
      'search: what everybody has',
      () => '/admin/users?q=person',
      (sql) => searchUsers(sql, 'person', everybody, page),
    ],
    [
      'search: what thousands have',
      () => '/admin/users?q=hopp',
      (sql) => searchUsers(sql, 'hopp', everybody, page),
    ],
    [
      'search: what one has',
      (n) => `/admin/users?q=person${(n * 9973) % userCount}@`,
      (sql) => searchUsers(sql, 'person4711@', everybody, page),
    ],
    [
      'search: what nobody has',
      (n) => `/admin/users?q=nobody${n}`,
      (sql) => searchUsers(sql, 'nobody', everybody, page),
    ],
    [
      'search: disabled',
      () => '/admin/users?q=person&enabled=false',
      (sql) => searchUsers(sql, 'person', { ...everybody, enabled: false }, page),
    ],
    [
      'mandates',
      () => '/admin/mandates',
      (sql) => listMandates(sql, 'slug', { enabled: undefined, ...page }),
    ],
    [
      'search: mandates',
      (n) => `/admin/mandates?q=company ${n}`,
      (sql) => searchMandates(sql, 'company 4', { enabled: undefined, ...page }),
    ],
    [
      'members',
      () => `/admin/mandates/${someMandate}/members`,
      (sql) => listMembers(sql, { kind: memberships, withinId: someMandate, seesAll: true }, members),
      someMandate,
    ],
    [
      'search: members',
      (n) => `/admin/mandates/${someMandate}/members?q=person${n}`,
      (sql) =>
        listMembers(
          sql,
          { kind: memberships, withinId: someMandate, seesAll: true },
          { ...members, q: 'person4' },
        ),
      someMandate,
    ],
    ['roles', () => '/admin/roles', (sql) => listRoles(sql, roles)],
    [
      'own members',
      () => '/mandate/members',
      (sql) => listMembers(sql, { kind: memberships, withinId: acme, seesAll: false }, members),
      acme,
    ],
    ['own roles', () => '/mandate/roles', (sql) => listRoles(sql, { ...roles, seenIn: acme }), acme],
  ]
}

const percentile = (values, share) =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1].toFixed(1)

async function measure(url, pathOf, headersOf) {
  const times = []
  for (let n = 0; n < rounds; n += 1) {
    const path = pathOf(n)
    const before = performance.now()
    const answer = await fetch(url + path, { headers: headersOf(path) })
    const body = await answer.text()
    if (answer.status !== 200) throw new Error(`${path} was answered ${answer.status}: ${body}`)
    times.push(performance.now() - before)
  }
  return times
}

/** The plan of the statement that a list runs, as `gateway_app` and, where there is one, within a mandate. */
async function planOf(client, list, mandate) {
  let plan = []
  await client.query('begin')
  await client.query('set local role gateway_app')
  await client.query(`select set_config('gateway.mandate', $1, true)`, [mandate ?? ''])
  await list({
    rows: async (statement, values) => {
      let index = 0
      const text = statement.replaceAll('?', () => `$${(index += 1)}`)
      plan = (await client.query(`explain (analyze, costs off, timing off) ${text}`, values)).rows.map(
        (row) => row['QUERY PLAN'],
      )
      return []
    },
  })
  await client.query('rollback')
  return plan
}

/** Tables of which a plan has read every row, and not only could have. */
const readWhole = (plan) =>
  plan.filter(
    (line) =>
      /Seq Scan on (users|mandates|user_terms|user_mandates|mandate_terms)/.test(line) &&
      !line.includes('never executed'),
  )

const bare = await startServer('bare.js')
const database = await startDatabase()
try {
  const gateway = await startGateway(database, bare.url) // which migrates
  const began = performance.now()
  await fill(database)
  process.stdout.write(`filled in ${Math.round((performance.now() - began) / 1000)} s\n`)
  const tokens = await loginAll(database, [petra, { id: alice, username: 'alice' }])
  const headersOf = (path) => ({
    cookie: `auth_token=${tokens[path.startsWith('/mandate') ? 1 : 0].token}`,
    'x-mandate-id': acme,
  })
  const [{ id: someMandate }] = await database.sql(
    `select id from mandates where slug = 'mandate-${Math.ceil(mandateCount / 2)}'`,
  )
  const client = new pg.Client(database.ownerUrl)
  await client.connect()
  const plans = []
  process.stdout.write(`\n| list | p50 ms | p99 ms | its statement, ms |\n| --- | --- | --- | --- |\n`)
  const idle = await measure(gateway.url, () => '/healthz', headersOf)
  process.stdout.write(
    `| nothing (/healthz, for comparison) | ${percentile(idle, 0.5)} | ${percentile(idle, 0.99)} | |\n`,
  )
  for (const [name, pathOf, list, mandate] of listsOf({ someMandate })) {
    await measure(gateway.url, pathOf, headersOf)
    const times = await measure(gateway.url, pathOf, headersOf)
    await planOf(client, list, mandate)
    const plan = await planOf(client, list, mandate)
    const statementMs = plan.map((line) => /Execution Time: ([\d.]+)/.exec(line)?.[1]).find(Boolean)
    process.stdout.write(
      `| ${name} | ${percentile(times, 0.5)} | ` +
        `${percentile(times, 0.99)}${percentile(times, 0.99) > goalMs ? ' (over the goal)' : ''} ` +
        `| ${statementMs} |\n`,
    )
    plans.push([name, plan])
  }
  for (const [name, plan] of plans)
    process.stdout.write(`\n${name}\n${plan.map((line) => `  ${line}`).join('\n')}\n`)
  const whole = plans.filter(([, plan]) => readWhole(plan).length > 0).map(([name]) => name)
  process.stdout.write(
    whole.length > 0 ? `\nread a whole table: ${whole.join('; ')}\n` : '\nno list reads a whole table\n',
  )
  await client.end()
  await gateway.stop()
} finally {
  await database.stop()
  bare.stop()
}
