import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { mandates, tokenFor, users } from '../support/demo.js'
import { cleanUpProcesses, makeDataDir } from '../support/gateway-process.js'
import { demoPortal, sessionOf } from '../support/portal.js'
import { until } from '../support/until.js'
import type { Answer, Ask } from './support/http.js'
import { long, report } from './support/mode.js'
import { startNodes, warm, type FaultNode, type FaultNodes } from './support/nodes.js'
import { startOwnPostgres, type OwnPostgres } from './support/postgres.js'

const leaseMs = 2000
const recoveryMs = 40_000
const routes = `
upstreams: { crm: { targets: [demo] } }
routes:
  /api/crm: { upstream: crm, mandate: required, instance: optional, permission: { context: RESOURCE, item: crm } }
  /public: { upstream: crm, auth: public, rewrite: /api/crm }
`

/** The documented answers: of each kind of request, to each fault. */
async function documented(): Promise<Map<string, Map<string, string>>> {
  const text = await readFile(new URL('../../docs/outages.md', import.meta.url), 'utf8')
  const lines = (/^## Request by request\n(.*?)^## /ms.exec(text)?.[1] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('|'))
  const [header, , ...rows] = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  return new Map(
    rows.map(([kind = '', ...cells]) => [
      kind,
      new Map(cells.map((cell, index) => [header?.[index + 1] ?? '', cell])),
    ]),
  )
}
const table = await documented()

let postgres: OwnPostgres
let cluster: FaultNodes
let node: FaultNode
let superuser: pg.Client
beforeAll(async () => {
  postgres = await startOwnPostgres()
  const file = path.join(await makeDataDir(), 'routes.yaml')
  await writeFile(file, routes)
  cluster = await startNodes(postgres.database, {
    leases: [leaseMs],
    wired: true,
    environment: { GATEWAY_ROUTES: file },
  })
  node = cluster.nodes[0]!
}, 90_000)
afterAll(async () => {
  await cluster.close()
  await cleanUpProcesses()
  await postgres.database.drop()
}, 60_000)

/** Asks as the owner, who may write in a database that is read-only for others. */
async function asOwner(statements: string[]): Promise<void> {
  superuser = new pg.Client(postgres.database.ownerUrl)
  await superuser.connect()
  try {
    for (const statement of ['set default_transaction_read_only = off', ...statements])
      await superuser.query(statement)
  } finally {
    await superuser.end()
  }
}

const everyTable = (statement: string) => `do $$ declare t text; begin
  for t in
    select format('%I', tablename)
    from pg_tables
    where schemaname = 'public' loop
    execute format('${statement}', t); end loop; end $$`

interface Fault {
  begin: () => Promise<void> | void
  end: () => Promise<void> | void
  /** It is over by itself before a lease is. */
  isShort?: true
}

const both = () => [node.pool, node.lease]
const faults: Record<string, Fault> = {
  refused: {
    begin: () => both().forEach((line) => line.refuse()),
    end: () => both().forEach((line) => line.heal()),
  },
  silent: {
    begin: () => both().forEach((line) => line.blackHole()),
    end: () => both().forEach((line) => (long ? line.healNewOnly() : line.heal())),
  },
  slow: {
    begin: () => {
      node.pool.delay(() => 80)
      node.lease.delay(() => 40)
    },
    end: () => both().forEach((line) => line.delay(() => 0)),
  },
  restarted: { begin: () => postgres.restart(), end: () => undefined, isShort: true },
  'read-only': {
    begin: () => asOwner(['alter system set default_transaction_read_only = on', 'select pg_reload_conf()']),
    end: () => asOwner(['alter system reset default_transaction_read_only', 'select pg_reload_conf()']),
  },
  full: {
    begin: () =>
      asOwner([
        `create or replace function no_space() returns trigger language plpgsql as $$
          begin raise exception
          using errcode = '53100', message = 'could not extend file: No space left on device'; end $$`,
        everyTable(
          'create trigger no_space before insert or update or delete on %s execute function no_space()',
        ),
      ]),
    end: () => asOwner([everyTable('drop trigger no_space on %s')]),
  },
}

/** What one round of requests needs: made while all is well. */
async function prepare() {
  const { database } = postgres
  const [alice, root, petra, taken] = await Promise.all([
    tokenFor(database, 'alice'),
    tokenFor(database, 'root'),
    tokenFor(database, 'petra'),
    tokenFor(database, 'bob'),
  ])
  const logIn = async () => {
    const { headers } = await node.ask('/auth/login', {
      method: 'POST',
      body: { username: 'bob', password: 'demo-password-1' },
    })
    return (headers['set-cookie'] ?? []).map((line) => line.split(';', 1)[0]).join('; ')
  }
  const [refreshing, leaving] = [await logIn(), await logIn()]
  for (const { token } of [alice, root, petra]) await warm([node], token)
  // so that the policy of the area is remembered
  await until(
    async () => (await node.ask('/system/routes', { token: root.token })).status === 200 || undefined,
  )
  const guardIds: string[] = []
  const forwarded = (token: string): [string, Ask] => [
    '/api/crm/echo',
    { token, headers: { 'X-Mandate-Id': mandates.acme } },
  ]
  await until(async () => (await node.ask(...forwarded(alice.token))).status === 200 || undefined)
  const requests: Record<string, () => Promise<[string, Ask]> | [string, Ask]> = {
    'forwarded, remembered': () => forwarded(alice.token),
    'forwarded, not remembered': () => forwarded(unknown),
    'forwarded, public': () => ['/public/echo', {}],
    login: () => ['/auth/login', { method: 'POST', body: { username: 'bob', password: 'demo-password-1' } }],
    refresh: () => ['/auth/refresh', { method: 'POST', cookie: refreshing }],
    logout: () => ['/auth/logout', { method: 'POST', cookie: leaving }],
    revocation: () => [`/system/tokens/${taken.jti}`, { method: 'DELETE', token: root.token }],
    administration: () => [
      `/admin/users/${users.erin}`,
      { method: 'PATCH', token: petra.token, body: { fullName: randomUUID() } },
    ],
    'guarded and audited': () => {
      const id = randomUUID()
      guardIds.push(id)
      return ['/system/routes', { token: root.token, headers: { 'X-Request-Id': id } }]
    },
    'a page of the portal': () => ['/portal', { headers: sessionOf(demoPortal.link) }],
    introspection: () => [
      '/auth/introspect',
      { method: 'POST', token: root.token, body: { token: alice.token } },
    ],
    '/healthz': () => ['/healthz', {}],
    '/readyz': () => ['/readyz', {}],
  }
  // the row is there, and nobody has been let in by it
  const freshToken = async () => (await tokenFor(database, 'bob')).token
  const spare = await Promise.all([freshToken(), freshToken(), freshToken()])
  let unknown = await freshToken()
  const ask = async (kind: string) => {
    const answer = await node.ask(...(await requests[kind]!()))
    if (kind === 'forwarded, not remembered' && answer.status === 200) unknown = spare.pop() ?? unknown
    return answer
  }
  return { requests, guardIds, ask }
}

/** An answer is as documented, and a 503 says what it is and when to come again. */
function check(
  kind: string,
  fault: string,
  { status, headers, body, startedAt, answeredAt }: Answer,
  statuses: string,
) {
  expect([kind, fault, statuses.split(' or ').includes(String(status)) ? statuses : status]).toEqual([
    kind,
    fault,
    statuses,
  ])
  expect(answeredAt - startedAt).toBeLessThan(15_000)
  expect(headers['set-cookie'] === undefined || status < 300).toBe(true) // an outage never clears a cookie
  if (status !== 503) return
  expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  if (kind !== 'a page of the portal')
    expect(['authentication_unavailable', 'directory_unavailable']).toContain(
      body.code ?? { temporarily_unavailable: 'directory_unavailable' }[String(body.error)],
    )
}

describe('what docs/outages.md says of each kind of request holds, and is over by itself, when the database is', () => {
  it.each(Object.keys(faults))(
    '%s',
    async (name) => {
      const { begin, end, isShort } = faults[name]!
      const { requests, guardIds, ask } = await prepare()
      await until(async () => (await ask('/readyz')).status === 200 || undefined, recoveryMs)
      const cell = (kind: string) => (table.get(kind)?.get(name) ?? 'nothing').split(', then ')

      const kinds = Object.keys(requests)
      let answered: Answer[]
      const sooner = kinds.filter((kind) => cell(kind).length === 2)
      try {
        await begin()
        const begun = performance.now()
        const within = await Promise.all(sooner.map(ask))
        // a machine that is busy may have taken the lease's time
        const isWithin = performance.now() - begun < leaseMs / 3
        sooner.forEach((kind, index) =>
          check(kind, name, within[index]!, isWithin ? cell(kind)[0]! : cell(kind).join(' or ')),
        )
        if (isShort !== true) await pause(begun + 1.2 * leaseMs - performance.now())
        answered = await Promise.all(kinds.map(ask))
      } finally {
        await end()
      }
      kinds.forEach((kind, index) => check(kind, name, answered[index]!, cell(kind).at(-1)!))

      const healed = performance.now()
      await Promise.all(
        kinds.map((kind) =>
          until(async () => {
            const answer = await ask(kind)
            if (answer.status !== 503)
              expect([kind, answer.status]).toEqual([kind, kind === 'logout' ? 204 : 200])
            return answer.status === 503 ? undefined : answer
          }, recoveryMs),
        ),
      )
      report(`database: ${name}`, {
        statuses: Object.fromEntries(kinds.map((kind, index) => [kind, answered[index]!.status])),
        recoveredAfterMs: Math.round(performance.now() - healed),
      })

      const last = guardIds.at(-1)
      await until(
        async () =>
          (
            await postgres.database.sql(
              `select from audit_events where action = 'sysadmin_action' and request_id = $1`,
              [last],
            )
          ).length > 0 || undefined,
        recoveryMs,
      )
      expect([node.process.child.exitCode, node.process.child.signalCode]).toEqual([null, null])
      expect(node.process.errors()).toBe('')
    },
    120_000,
  )

  it('nothing is left of it: no connection in use, no request open', async () => {
    await until(async () => {
      const { text } = await fetch(`${node.url}/metrics`).then(async (answer) => ({
        text: await answer.text(),
      }))
      return /pool_connections\{[^}]*used[^}]*\} 0\b/.test(text) &&
        /pool_connections\{[^}]*(?:pending|waiting)[^}]*\} 0\b/.test(text)
        ? true
        : undefined
    })
  })

  it('and it says something of each', () => {
    expect([...table.keys()].sort()).toEqual(
      [
        'forwarded, remembered',
        'forwarded, not remembered',
        'forwarded, public',
        'login',
        'refresh',
        'logout',
        'revocation',
        'administration',
        'guarded and audited',
        'a page of the portal',
        'introspection',
        '/healthz',
        '/readyz',
      ].sort(),
    )
    for (const cells of table.values()) expect([...cells.keys()]).toEqual(Object.keys(faults))
  })
})
