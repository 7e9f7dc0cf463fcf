import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { cleanUpProcesses } from '../support/gateway-process.js'
import { until } from '../support/until.js'
import { acceptedAfter, isAccepted, tally, type Answer } from './support/http.js'
import { long, percentile, report } from './support/mode.js'
import {
  hammer,
  probePath,
  revoke,
  startNodes,
  warm,
  warmToken,
  type FaultNode,
  type FaultNodes,
} from './support/nodes.js'

const leaseMs = 1000
const aboutALeaseMs = 4 * leaseMs
/** How long a node may take to be itself again once the network is: some statements' time limits. */
const recoveryMs = 20_000

describe('a node that loses its database', () => {
  let database: TestDatabase
  let cluster: FaultNodes
  let writer: FaultNode
  let lost: FaultNode
  let root: string

  beforeAll(async () => {
    database = await createTestDatabase()
    cluster = await startNodes(database, { leases: [leaseMs, leaseMs], wired: true })
    ;[writer, lost] = cluster.nodes as [FaultNode, FaultNode]
    root = (await warmToken(database, cluster.nodes, 'root')).token
  }, 60_000)
  afterEach(() => {
    for (const node of cluster.nodes) {
      for (const line of [node.pool, node.lease]) {
        line.delay(() => 0)
        line.heal()
      }
    }
  })
  afterAll(async () => {
    await cluster.close()
    await cleanUpProcesses()
    await database.drop()
  })

  const bothLines = (node: FaultNode) => [node.pool, node.lease]
  /** Waits until both nodes renew, and all changes have been heard of. */
  const settled = () =>
    until(async () => {
      const [row] = await database.sql<{ up: number; behind: number }>(`
      select (select count(*)::int from coherence.nodes where renewed_at > now() - interval '600 ms' and seq > 0) as up,
             (
                 select count(*)::int
                 from coherence.nodes n, coherence.changes c
                 where not pg_visible_in_snapshot(c.xid, n.acked)
               ) as behind`)
      return row!.up === 2 && row!.behind === 0 ? true : undefined
    }, recoveryMs)
  /** The node lets in what it remembers and what it must load. */
  const recovers = async (node: FaultNode, remembered: string) => {
    const since = performance.now()
    // each connection of the pool that hears nothing any more is found out by one request that runs into its
    // time limit
    await Promise.all(Array.from({ length: 20 }, () => node.ask('/auth/me', { token: remembered })))
    const { token: unknown } = await tokenFor(database, 'erin')
    await until(
      async () =>
        (await Promise.all([remembered, unknown].map((token) => node.ask(probePath, { token })))).every(
          isAccepted,
        ) || undefined,
      recoveryMs,
    )
    await until(
      async () =>
        (
          await Promise.all(Array.from({ length: 20 }, () => node.ask('/auth/me', { token: remembered })))
        ).every(isAccepted) || undefined,
      recoveryMs,
    )
    await settled()
    return Math.round(performance.now() - since)
  }

  const returns = [
    ['relays again to the lease and has forgotten the pool’s connections', 'heal', 'healNewOnly'],
    ['relays again', 'heal', 'heal'],
    ['has forgotten the connections of before', 'healNewOnly', 'healNewOnly'],
    ['relays again to the pool and has forgotten the lease’s connection', 'healNewOnly', 'heal'],
  ] as const
  it.each(returns.slice(0, long ? 4 : 1))(
    'serves from memory for its lease behind a black hole, then 503, and recovers when the network %s',
    async (_how, healLease, healPool) => {
      await settled()
      const { token, jti } = await warmToken(database, cluster.nodes)
      const { token: still } = await warmToken(database, cluster.nodes, 'bob')
      // opens connections of the pool, to be lost
      await Promise.all(Array.from({ length: 200 }, () => lost.ask('/auth/me', { token: still })))
      for (const line of bothLines(lost)) line.blackHole()
      const lostAt = performance.now()
      const asking = [hammer([lost], token, 40), hammer([lost], still, 40)]
      const health: Answer[] = []
      const taken = await revoke(writer, root, jti)
      const elsewhere = await writer.ask(probePath, { token })
      expect(taken.status).toBe(200)
      expect(taken.body.coherence).toMatchObject({ acked: 1, fenced: 1 })
      expect(taken.body.coherence.waitedMs).toBeLessThan(aboutALeaseMs)
      expect(elsewhere.status).toBe(401)
      health.push(await lost.ask('/healthz'))
      const unheard = await tokenFor(database, 'alice')
      const inTheHole = revoke(lost, root, unheard.jti)
      await wait(1500)
      const [ofRevoked, ofStill] = (await Promise.all(asking.map((one) => one.stop()))) as [
        Answer[],
        Answer[],
      ]
      lost.lease[healLease]()
      lost.pool[healPool]()
      health.push(await lost.ask('/healthz'))
      const tookMs = await recovers(lost, still)
      const after = await lost.ask(probePath, { token })
      expect((await inTheHole).status).toBe(503) // whatever became of it, nobody was told that it is done
      const repeated = await revoke(lost, root, unheard.jti)
      expect([
        repeated.status,
        ...(
          await Promise.all(cluster.nodes.map((node) => node.ask(probePath, { token: unheard.token })))
        ).map(({ status }) => status),
      ]).toEqual([200, 401, 401])

      const all = [...ofRevoked, ...ofStill]
      expect(acceptedAfter(ofRevoked, taken.answeredAt)).toEqual([])
      // no word from the database: no answer from memory beyond the lease
      expect(acceptedAfter(all, lostAt + leaseMs)).toEqual([])
      expect(acceptedAfter(ofStill, lostAt + 50).length).toBeGreaterThan(0) // but until then
      expect([...new Set(all.map(({ status }) => status))].sort()).toEqual([200, 503])
      const unavailable = all.filter(({ status }) => status === 503)
      for (const { headers, body } of unavailable)
        expect([body.code, Number(headers['retry-after']) > 0]).toEqual(['authentication_unavailable', true])
      expect(health.map(({ status }) => status)).toEqual([200, 200])
      expect(after.status).toBe(401)
      report(`black hole, then ${healLease} for the lease and ${healPool} for the pool`, {
        waitedMs: taken.body.coherence.waitedMs,
        ...tally(all),
        recoveredAfterMs: tookMs,
      })
    },
    90_000,
  )

  it.each(['refuse', 'reset'] as const)(
    'by %s, never lets a revoked login in and never says 401 to one that is good',
    async (how) => {
      await settled()
      const { token, jti } = await warmToken(database, cluster.nodes)
      const { token: still } = await warmToken(database, cluster.nodes, 'bob')
      const asking = [hammer([lost], token, 20), hammer([lost], still, 20)]
      for (const line of bothLines(lost)) line[how]()
      const lostAt = performance.now()
      const taken = await revoke(writer, root, jti)
      const waiting = wait(how === 'refuse' ? 2 * leaseMs : 200)
      await waiting
      const [ofRevoked, ofStill] = (await Promise.all(asking.map((one) => one.stop()))) as [
        Answer[],
        Answer[],
      ]
      for (const line of bothLines(lost)) line.heal()
      const tookMs = await recovers(lost, still)
      expect(taken.status).toBe(200)
      expect(acceptedAfter(ofRevoked, taken.answeredAt)).toEqual([])
      if (how === 'refuse') expect(acceptedAfter(ofStill, lostAt + leaseMs)).toEqual([])
      for (const { status } of ofStill) expect([200, 503]).toContain(status)
      report(`connections: ${how}`, {
        coherence: taken.body.coherence,
        revoked: tally(ofRevoked),
        still: tally(ofStill),
        recoveredAfterMs: tookMs,
      })
    },
    90_000,
  )

  it('that loses only its lease’s connection, asks the database each time', async () => {
    await settled()
    const { token, jti } = await warmToken(database, cluster.nodes)
    const { token: still } = await warmToken(database, cluster.nodes, 'bob')
    lost.lease.blackHole()
    const asking = [hammer([lost], token, 20), hammer([lost], still, 20)]
    const taken = await revoke(writer, root, jti)
    await wait(1000)
    const own = await warmToken(database, cluster.nodes)
    const byItself = await revoke(lost, root, own.jti) // it has no lease, so it does not wait for itself
    expect(byItself.status).toBe(200)
    expect(
      (await Promise.all(cluster.nodes.map((node) => node.ask(probePath, { token: own.token })))).map(
        ({ status }) => status,
      ),
    ).toEqual([401, 401])
    const [ready, health] = await Promise.all(['/readyz', '/healthz'].map((path) => lost.ask(path)))
    const [ofRevoked, ofStill] = (await Promise.all(asking.map((one) => one.stop()))) as [Answer[], Answer[]]
    lost.lease.heal()
    await recovers(lost, still)
    expect(taken.body.coherence).toMatchObject({ acked: 1, fenced: 1 })
    expect(acceptedAfter(ofRevoked, taken.answeredAt)).toEqual([])
    expect(tally(ofStill)).toEqual({ 200: ofStill.length })
    expect([ready!.status, health!.status]).toEqual([503, 200]) // a balancer should prefer others
    report('only the lease is lost', { revoked: tally(ofRevoked), readyz: ready!.status })
  }, 90_000)

  it('that loses only its request pool, lets in those whom it remembers and holds nobody up', async () => {
    await settled()
    const { token, jti } = await warmToken(database, cluster.nodes)
    const { token: still } = await warmToken(database, cluster.nodes, 'bob')
    lost.pool.blackHole()
    const asking = [hammer([lost], token, 20), hammer([lost], still, 20)]
    await wait(500)
    const taken = await revoke(writer, root, jti)
    await wait(1500)
    const [ofRevoked, ofStill] = (await Promise.all(asking.map((one) => one.stop()))) as [Answer[], Answer[]]
    lost.pool[long ? 'healNewOnly' : 'heal']()
    const tookMs = await recovers(lost, still)
    expect(taken.body.coherence).toMatchObject({ acked: 2, fenced: 0 })
    expect(acceptedAfter(ofRevoked, taken.answeredAt)).toEqual([])
    for (const answer of ofRevoked) if (answer.startedAt > taken.answeredAt) expect(answer.status).toBe(503)
    expect(tally(ofStill)).toEqual({ 200: ofStill.length })
    report('only the pool is lost', {
      waitedMs: taken.body.coherence.waitedMs,
      revoked: tally(ofRevoked),
      recoveredAfterMs: tookMs,
    })
  }, 90_000)

  /** Revokes again and again while the lines behave as they do. */
  const revokeAndProbe = async (howMany: number, warmed: boolean) => {
    const waited: number[] = []
    const all: Answer[] = []
    let accepted = 0
    let fenced = 0
    for (let round = 0; round < howMany; round += 1) {
      const { token, jti } = await tokenFor(database, 'alice')
      if (warmed) await warm(cluster.nodes, token)
      const asking = hammer(cluster.nodes, token, 8)
      await wait(Math.random() * 60)
      const taken = await revoke(writer, root, jti)
      const probes = cluster.nodes.flatMap((node) => [1, 2, 3].map(() => node.ask(probePath, { token })))
      const crossing = asking.stop()
      const answers = [...(await Promise.all(probes)), ...(await crossing)]
      await wait(50)
      // a late fill must not have been kept
      answers.push(...(await Promise.all(cluster.nodes.map((node) => node.ask(probePath, { token })))))
      expect(taken.status).toBe(200)
      waited.push(taken.answeredAt - taken.startedAt)
      accepted += acceptedAfter(answers, taken.answeredAt).length
      fenced += Number(taken.body.coherence.fenced)
      all.push(...answers)
    }
    return {
      rounds: howMany,
      accepted,
      fenced,
      ...tally(all),
      p50Ms: percentile(waited, 0.5),
      p99Ms: percentile(waited, 0.99),
    }
  }

  it(
    'slow renewals: nothing that was revoked is let in',
    async () => {
      await settled()
      lost.lease.delay(() => 40)
      const steady = await revokeAndProbe(long ? 150 : 4, true)
      // some renewals are given up by the node and executed all the same, late
      lost.lease.delay(() => (Math.random() < 0.3 ? 300 * Math.random() : 5))
      const erratic = await revokeAndProbe(long ? 300 : 5, true)
      lost.lease.delay(() => (Math.random() < 0.3 ? 300 * Math.random() : 5), 'answers')
      const lateAnswers = await revokeAndProbe(long ? 300 : 5, true)
      report('slow renewals', { steady, erratic, lateAnswers })
      expect([steady.accepted, erratic.accepted, lateAnswers.accepted]).toEqual([0, 0, 0])
    },
    long ? 900_000 : 90_000,
  )

  it(
    'a renewal whose answer is late grants a lease from when it was sent',
    async () => {
      let accepted = 0
      const seen: number[] = []
      for (let round = 0; round < (long ? 40 : 2); round += 1) {
        const { token, jti } = await warmToken(database, cluster.nodes)
        await settled()
        lost.lease.delay(() => 190, 'answers') // just within the renewal's deadline
        await wait(600 + Math.random() * 400)
        // the next renewals are not heard of, the answer of the last one comes yet
        lost.lease.blackHole('requests')
        const asking = hammer([lost], token, 8)
        const taken = await revoke(writer, root, jti)
        await wait(250)
        const answers = await asking.stop()
        lost.lease.delay(() => 0)
        lost.lease.heal()
        expect(taken.status).toBe(200)
        accepted += acceptedAfter(answers, taken.answeredAt).length
        seen.push(Number(taken.body.coherence.waitedMs))
      }
      report('late answers to renewals', {
        rounds: seen.length,
        accepted,
        waitedMs: long ? percentile(seen, 0.5) : seen,
      })
      expect(accepted).toBe(0)
    },
    long ? 600_000 : 60_000,
  )

  it(
    'slow fills: what was read before a revocation is neither kept nor shared after it',
    async () => {
      await settled()
      lost.pool.delay(() => 120, 'answers')
      const cold = await revokeAndProbe(long ? 300 : 10, false)
      report('slow fills', cold)
      expect(cold.accepted).toBe(0)
      expect(cold.fenced).toBe(0)
    },
    long ? 900_000 : 90_000,
  )

  it(
    'hints lost and leases’ connections killed again and again: nothing that was revoked is let in',
    async () => {
      await settled()
      const over = new AbortController()
      const killing = (async () => {
        let killed = 0
        while (!over.signal.aborted) {
          const rows = await database.sql(
            `select pg_terminate_backend(pid)
              from pg_stat_activity
              where application_name = 'mandate-gateway lease' and datname = current_database()`,
          )
          killed += rows.length
          await wait(20 + Math.random() * 150)
        }
        return killed
      })()
      const result = await revokeAndProbe(long ? 300 : 12, true)
      over.abort()
      report('listeners killed', { killed: await killing, ...result })
      expect(result.accepted).toBe(0)
      await settled()
    },
    long ? 900_000 : 90_000,
  )

  /** One more node, that goes before the test ends. */
  const withExtra = async (work: (extra: FaultNode) => Promise<void>) => {
    const extra = await cluster.add(leaseMs)
    try {
      await work(extra)
    } finally {
      cluster.nodes.splice(cluster.nodes.indexOf(extra), 1)
      for (const line of bothLines(extra)) line.heal()
      await extra.kill()
      extra.close()
      await Promise.all(bothLines(extra).map((line) => line.stop()))
      await database.sql('delete from coherence.nodes where process_id = $1', [extra.process.child.pid])
    }
  }

  it(
    'whose lease’s connection goes silent just after it was opened, renews again by itself',
    () =>
      withExtra(async (extra) => {
        extra.lease.stallAfterLogin()
        await wait(2 * leaseMs)
        extra.lease.heal()
        const healedAt = performance.now()
        await until(
          async () =>
            (
              await database.sql(
                `select from coherence.nodes where process_id = $1 and renewed_at > now() - interval '600 ms'`,
                [extra.process.child.pid],
              )
            ).length > 0 || undefined,
          15_000,
        )
        report('the lease’s connection stalls after its login', {
          renewedAfterMs: Math.round(performance.now() - healedAt),
        })
      }),
    60_000,
  )

  it(
    'ends at SIGTERM also while its database is a black hole',
    () =>
      withExtra(async (extra) => {
        for (const line of bothLines(extra)) line.blackHole()
        const since = performance.now()
        extra.process.child.kill('SIGTERM')
        const ended = await Promise.race([extra.process.ended, wait(15_000, 'still runs', { ref: false })])
        report('SIGTERM in a black hole', { ended, afterMs: Math.round(performance.now() - since) })
        expect(ended).not.toBe('still runs')
      }),
    60_000,
  )
})
