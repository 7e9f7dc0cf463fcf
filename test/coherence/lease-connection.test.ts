import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import pg from 'pg'
import { leaseConnection } from '../../src/coherence/lease-connection.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { until } from '../support/until.js'

const deadlineMs = 200
/** `ReadyForQuery`, idle: the login is done. */
const ready = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])

let database: TestDatabase
let proxy: Server
const sockets = new Set<Socket>()

beforeAll(async () => {
  database = await createTestDatabase()
})
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  if (proxy.listening) proxy.close()
})
afterAll(() => database.drop())

/** The database behind a network that passes on the login, and from then on what `passes` says. */
async function behindProxy(passes: () => boolean): Promise<string> {
  const target = new URL(database.url)
  proxy = createServer((client) => {
    const server = connect(Number(target.port), target.hostname)
    let isLoggedIn = false
    for (const socket of [client, server]) sockets.add(socket.on('error', () => undefined))
    client.on('data', (data) => {
      if (!isLoggedIn || passes()) server.write(data)
    })
    client.on('close', () => server.destroy())
    server.on('data', (data) => {
      client.write(data)
      isLoggedIn ||= data.includes(ready)
    })
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return Object.assign(new URL(database.url), {
    hostname: '127.0.0.1',
    port: `${(proxy.address() as AddressInfo).port}`,
  }).href
}

const register = async (url: string) => {
  const connection = leaseConnection({
    url,
    setRole: false,
    deadlineMs,
    node: () => ({ address: 'here', processId: 1 }),
    onHint: () => undefined,
  })
  const late = new Promise((resolve) => {
    setTimeout(() => resolve('neither answered nor given up'), 10 * deadlineMs).unref()
  })
  const outcome = connection.register('00000000-0000-4000-8000-000000000001', 5000).then(
    () => 'answered',
    () => 'given up',
  )
  const first = await Promise.race([outcome, late])
  await connection.close(undefined)
  return first
}

it('a node registers through a network that works', async () => {
  expect(await register(await behindProxy(() => true))).toBe('answered')
})

it('a network that stops after the login delays a renewal by its deadlines only; no connection stays', async () => {
  expect(await register(await behindProxy(() => false))).toBe('given up')
  await until(() => Promise.resolve([...sockets].every(({ destroyed }) => destroyed)))
  expect(sockets.size).toBeGreaterThan(0)
})

it('a connection is closed with the node', async () => {
  const connection = leaseConnection({
    url: await behindProxy(() => true),
    setRole: false,
    deadlineMs: 5000,
    node: () => ({ address: 'here', processId: 1 }),
    onHint: () => undefined,
  })
  await connection.register('00000000-0000-4000-8000-000000000002', 5000)
  await connection.close('00000000-0000-4000-8000-000000000002')
  await until(() => Promise.resolve([...sockets].every(({ destroyed }) => destroyed)))
  expect(
    await database.sql(`select from coherence.nodes where id = '00000000-0000-4000-8000-000000000002'`),
  ).toEqual([])
})

it('a login that owns the tables takes the role that owns nothing', async () => {
  const owner = new pg.Client(database.ownerUrl)
  await owner.connect()
  try {
    await owner.query(`create table seen_roles (role text); grant insert on seen_roles to gateway_app;
      create function note_role() returns trigger language plpgsql as $$
        begin
        insert into seen_roles
        values (current_user); return new; end $$;
      create trigger note_role before insert on coherence.nodes for each row execute function note_role()`)
    const connection = leaseConnection({
      url: database.ownerUrl,
      setRole: true,
      deadlineMs: 5000,
      node: () => ({ address: 'here', processId: 1 }),
      onHint: () => undefined,
    })
    await connection.register('00000000-0000-4000-8000-000000000003', 5000)
    await connection.close('00000000-0000-4000-8000-000000000003')
    expect((await owner.query('select role from seen_roles')).rows).toEqual([{ role: 'gateway_app' }])
  } finally {
    await owner.query('drop trigger if exists note_role on coherence.nodes')
    await owner.end()
  }
})
