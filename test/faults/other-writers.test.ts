import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor, users } from '../support/demo.js'
import { cleanUpProcesses } from '../support/gateway-process.js'
import { withoutTable } from '../support/tables.js'
import { until } from '../support/until.js'
import { acceptedAfter, isAccepted, tally, type Answer } from './support/http.js'
import { long, percentile, report } from './support/mode.js'
import { hammer, probePath, revoke, startNodes, warm, warmToken, type FaultNodes } from './support/nodes.js'

const leaseMs = 1000
const recoveryMs = 20_000

describe('others who work on the tables', () => {
  let database: TestDatabase
  let cluster: FaultNodes
  let root: string
  let name: string
  const clients: pg.Client[] = []

  beforeAll(async () => {
    database = await createTestDatabase()
    name = new URL(database.url).pathname.slice(1)
    cluster = await startNodes(database, { leases: [leaseMs, leaseMs, leaseMs] })
    root = (await warmToken(database, cluster.nodes, 'root')).token
  }, 60_000)
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end().catch(() => undefined)
  })
  afterAll(async () => {
    await cluster.close()
    await cleanUpProcesses()
    await database.drop()
  })

  /** A session of somebody else, as with psql. */
  const session = async () => {
    const client = new pg.Client(database.ownerUrl)
    client.on('error', () => undefined)
    await client.connect()
    clients.push(client)
    return client
  }
  const everywhere = (token: string) =>
    Promise.all(cluster.nodes.map((node) => node.ask(probePath, { token })))
  const commit = async (client: pg.Client) => {
    await client.query('commit')
    return performance.now()
  }

  it.each([
    ['read committed', 'begin', 'commit'],
    ['repeatable read', 'begin isolation level repeatable read', 'commit'],
    ['serializable', 'begin isolation level serializable', 'commit'],
    ['in a savepoint', 'begin; savepoint here', 'release here; commit'],
  ])(
    'plain SQL (%s) that commits late, after revocations with higher ids, is heeded within the lease',
    async (kind, begin, end) => {
      const noticed: number[] = []
      let accepted = 0
      for (let round = 0; round < (long ? 30 : 1); round += 1) {
        const late = await warmToken(database, cluster.nodes)
        const others = await Promise.all([1, 2, 3].map(() => tokenFor(database, 'alice')))
        const writer = await session()
        await writer.query(begin)
        // takes the lower id
        await writer.query(`update tokens set status = 'revoked' where id = $1`, [late.jti])
        for (const [index, { jti, token }] of others.entries()) {
          await warm(cluster.nodes, token)
          // higher ids, which all nodes acknowledge
          const taken = await revoke(cluster.nodes[index]!, root, jti)
          expect(taken.body.coherence).toMatchObject({ acked: 3, fenced: 0 })
          expect((await everywhere(token)).map(({ status }) => status)).toEqual([401, 401, 401])
        }
        // not committed, not revoked
        expect((await everywhere(late.token)).map(({ status }) => status)).toEqual([200, 200, 200])
        await writer.query(end.replace(/;? *commit$/, '') || 'select')
        const asking = hammer(cluster.nodes, late.token, 10)
        const committedAt = await commit(writer)
        await wait(leaseMs + 150)
        const answers = await asking.stop()
        accepted += acceptedAfter(answers, committedAt + leaseMs).length
        noticed.push(
          Math.max(0, ...acceptedAfter(answers, committedAt).map(({ startedAt }) => startedAt - committedAt)),
        )
        // repeating it through the gateway promises the same as a first time
        const again = await revoke(cluster.nodes[0]!, root, late.jti)
        expect(again.body.coherence).toMatchObject({ acked: 3, fenced: 0 })
        expect((await everywhere(late.token)).map(({ status }) => status)).toEqual([401, 401, 401])
      }
      report(`late commit, ${kind}`, { accepted, lastAcceptAfterCommitMs: noticed.map(Math.round) })
      expect(accepted).toBe(0)
    },
    long ? 300_000 : 60_000,
  )

  it('an open transaction on the tables stops no renewal or revocation, and no change is pruned early', async () => {
    const holder = await session()
    await holder.query('begin')
    await holder.query(`update users set full_name = 'held' where id = $1`, [users.dave])
    await holder.query(`insert into sessions (user_id, authority) values ($1, 'local')`, [users.dave])
    await holder.query('select count(*) from tokens')
    const { token: still } = await warmToken(database, cluster.nodes, 'bob')
    const asking = hammer(cluster.nodes, still, 20)
    const endsAt = performance.now() + (long ? 10_000 : 3000)
    const waited: number[] = []
    let first: string | undefined
    while (performance.now() < endsAt) {
      const { jti, token } = await warmToken(database, cluster.nodes)
      const taken = await revoke(cluster.nodes[waited.length % 3]!, root, jti)
      expect(taken.body.coherence).toMatchObject({ acked: 3, fenced: 0 })
      expect((await everywhere(token)).map(({ status }) => status)).toEqual([401, 401, 401])
      waited.push(taken.answeredAt - taken.startedAt)
      first ??= taken.body.coherence.epoch as string
    }
    const kept = await database.sql('select from coherence.changes where xid = $1::xid8', [first])
    await holder.query('rollback')
    const answers = await asking.stop()
    report('an open transaction', {
      revocations: waited.length,
      p50Ms: percentile(waited, 0.5),
      p99Ms: percentile(waited, 0.99),
      changeRowsOfTheFirst: kept.length,
    })
    expect(tally(answers)).toEqual({ 200: answers.length })
    expect(kept.length).toBeGreaterThan(0)
    // and afterwards they go
    await until(
      async () =>
        (await database.sql('select from coherence.changes where xid = $1::xid8', [first])).length === 0 ||
        undefined,
      recoveryMs,
    )
  }, 60_000)

  it('a locked table exhausts the pool: leases and remembered logins go on, others are 503 until it ends', async () => {
    const { token: still } = await warmToken(database, cluster.nodes, 'bob')
    const strangers = await Promise.all(Array.from({ length: 40 }, () => tokenFor(database, 'erin')))
    const { jti } = await warmToken(database, cluster.nodes)
    const locker = await session()
    await locker.query('begin; lock table tokens in access exclusive mode')
    const asking = hammer(cluster.nodes, still, 20)
    const refused: Answer[] = await Promise.all([
      ...strangers.map(({ token }, index) => cluster.nodes[index % 3]!.ask(probePath, { token })),
      revoke(cluster.nodes[0]!, root, jti),
    ])
    const remembered = await asking.stop()
    const leases = await database.sql<{ behind: number }>(
      `select extract(epoch from clock_timestamp() - renewed_at)::float * 1000 as behind from coherence.nodes`,
    )
    await locker.query('rollback')
    report('tokens locked', {
      remembered: tally(remembered),
      strangersAndARevocation: tally(refused),
      longestMs: Math.max(...refused.map(({ answeredAt, startedAt }) => Math.round(answeredAt - startedAt))),
    })
    expect(tally(remembered)).toEqual({ 200: remembered.length })
    expect(tally(refused)).toEqual({ 503: refused.length })
    expect(leases).toHaveLength(3)
    for (const { behind } of leases) expect(behind).toBeLessThan(leaseMs)
    for (const { token } of strangers.slice(0, 6)) await warm(cluster.nodes, token, recoveryMs)
    expect((await revoke(cluster.nodes[0]!, root, jti)).status).toBe(200)
  }, 60_000)

  it('a missing table: remembered logins go on, unknown ones and revocations are 503 until it is back', async () => {
    const { token: still, jti } = await warmToken(database, cluster.nodes, 'bob')
    const { token: stranger } = await tokenFor(database, 'erin')
    await withoutTable(database, 'tokens', async () => {
      expect((await everywhere(still)).map(({ status }) => status)).toEqual([200, 200, 200])
      expect((await everywhere(stranger)).map(({ status, body }) => [status, body.code])).toEqual(
        Array.from({ length: 3 }, () => [503, 'authentication_unavailable']),
      )
      expect((await revoke(cluster.nodes[0]!, root, jti)).status).toBe(503)
      expect((await everywhere(still)).map(({ status }) => status)).toEqual([200, 200, 200])
      for (const node of cluster.nodes) expect((await node.ask('/healthz')).status).toBe(200)
    })
    expect((await everywhere(stranger)).map(({ status }) => status)).toEqual([200, 200, 200])
    expect((await revoke(cluster.nodes[0]!, root, jti)).status).toBe(200)
    expect((await everywhere(still)).map(({ status }) => status)).toEqual([401, 401, 401])
  }, 60_000)

  it('a read-only database: no revocation is confirmed, reads go on, and service resumes by itself', async () => {
    const { token: still, jti } = await warmToken(database, cluster.nodes, 'bob')
    const { token: stranger } = await tokenFor(database, 'erin')
    const disconnectAll = () =>
      database.sql(
        `select pg_terminate_backend(pid)
          from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`,
      )
    const admin = await session()
    await admin.query(`alter database ${name} set default_transaction_read_only = on`)
    try {
      await admin.query(
        `select pg_terminate_backend(pid)
          from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`,
      )
      await wait(leaseMs + 300) // no renewal can be written: the leases have ended
      const taken = await Promise.all(cluster.nodes.map((node) => revoke(node, root, jti)))
      const reads = [...(await everywhere(still)), ...(await everywhere(stranger))]
      const ready = await Promise.all(cluster.nodes.map((node) => node.ask('/readyz')))
      const health = await Promise.all(cluster.nodes.map((node) => node.ask('/healthz')))
      report('read-only', { revocations: tally(taken), reads: tally(reads), readyz: tally(ready) })
      expect(taken.map(({ status }) => status)).toEqual([503, 503, 503])
      expect(tally(reads)).toEqual({ 200: 6 })
      expect(tally(ready)).toEqual({ 503: 3 })
      expect(tally(health)).toEqual({ 200: 3 })
    } finally {
      await admin.query('set default_transaction_read_only = off')
      await admin.query(`alter database ${name} reset default_transaction_read_only`)
      await disconnectAll() // sessions of before stay read-only for as long as they live
    }
    await until(
      async () => (await revoke(cluster.nodes[0]!, root, jti)).status === 200 || undefined,
      recoveryMs,
    )
    expect((await everywhere(still)).every((answer) => !isAccepted(answer))).toBe(true)
    await warm(cluster.nodes, stranger, recoveryMs)
  }, 60_000)
})
