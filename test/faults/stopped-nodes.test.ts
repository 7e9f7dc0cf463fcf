import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { cleanUpProcesses } from '../support/gateway-process.js'
import { until } from '../support/until.js'
import { acceptedAfter, clientOf, isAccepted, tally, type Answer } from './support/http.js'
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
/** A writer waits for one lease, and what a busy machine adds to it. */
const aboutALeaseMs = 4 * leaseMs

describe('a node that is stopped, and continued', () => {
  let database: TestDatabase
  let cluster: FaultNodes
  let nodes: FaultNode[]
  let root: string

  beforeAll(async () => {
    database = await createTestDatabase()
    cluster = await startNodes(database, { leases: [leaseMs, leaseMs, leaseMs] })
    nodes = cluster.nodes.slice()
    root = (await warmToken(database, nodes, 'root')).token
  }, 60_000)
  afterEach(() => {
    for (const node of nodes) node.thaw()
  })
  afterAll(async () => {
    await cluster.close()
    await cleanUpProcesses()
    await database.drop()
  })

  /** Opens connections to a node, so that requests can be put into its sockets while it is stopped. */
  const connect = (node: FaultNode, token: string) =>
    Promise.all(Array.from({ length: 24 }, () => node.ask(probePath, { token })))
  /** Waits until all nodes hold leases and have heard of everything. */
  const settled = () =>
    until(async () => {
      const [row] = await database.sql<{ up: number; behind: number }>(`
      select (select count(*)::int from coherence.nodes where renewed_at > now() - interval '500 ms') as up,
             (
                 select count(*)::int
                 from coherence.nodes n, coherence.changes c
                 where not pg_visible_in_snapshot(c.xid, n.acked)
               ) as behind`)
      return row!.up === nodes.length && row!.behind === 0 ? true : undefined
    }, 20_000)
  const isRevoked = async (jti: string) =>
    (await database.sql<{ status: string }>('select status from tokens where id = $1', [jti]))[0]?.status ===
    'revoked'

  it('accepts nothing of what waited in its sockets; the writer waits one lease and fences it', async () => {
    const [writer, other, stopped] = nodes as [FaultNode, FaultNode, FaultNode]
    const { token, jti } = await warmToken(database, nodes)
    const { token: still } = await warmToken(database, nodes, 'bob')
    await connect(stopped, token)
    stopped.freeze()
    const early = Array.from({ length: 8 }, () => stopped.ask(probePath, { token }))
    const taken = await revoke(writer, root, jti)
    expect(taken.status).toBe(200)
    expect(taken.body.coherence).toMatchObject({ acked: 2, fenced: 1 })
    expect(taken.body.coherence.waitedMs).toBeLessThan(aboutALeaseMs)
    const waiting = Array.from({ length: 40 }, () => stopped.ask(probePath, { token }))
    const elsewhere = await Promise.all([writer, other].map((node) => node.ask(probePath, { token })))
    await wait(100)
    stopped.thaw()
    const answers = [...(await Promise.all([...early, ...waiting])), ...elsewhere]
    expect(acceptedAfter(answers, taken.answeredAt)).toEqual([])
    // those that came early waited until the node knew, too
    expect(answers.every(({ status }) => status === 401)).toBe(true)
    await warm([stopped], still) // it serves on, without a restart
    await settled()
    expect((await revoke(writer, root, jti)).body.coherence).toMatchObject({ acked: 3, fenced: 0 })
    report('stopped node', { waitedMs: taken.body.coherence.waitedMs, answers: tally(answers) })
  }, 60_000)

  it(
    'for less or more than its lease: accepts no request that starts after the answer',
    async () => {
      const lengths = long
        ? Array.from({ length: 120 }, (_, index) => 50 + index * 20 + Math.random() * 20)
        : [0.5, 0.93, 1, 1.05, 1.6].map((share) => share * leaseMs)
      const seen: Record<string, unknown>[] = []
      let accepted = 0
      for (const [index, stopMs] of lengths.entries()) {
        await settled()
        const stopped = nodes[(index + 2) % 3]!
        const writer = nodes[index % 3]!
        const { token, jti } = await warmToken(database, nodes)
        const idle = clientOf(stopped.url)
        await Promise.all(Array.from({ length: 24 }, () => idle.ask(probePath, { token })))
        await wait(Math.random() * 250) // anywhere between two renewals
        stopped.freeze()
        const asking = hammer(nodes, token, 15)
        const taking = revoke(writer, root, jti)
        // into connections that are open already: what waits there is the first that the node sees
        const atOnce = taking.then(() =>
          Promise.all(Array.from({ length: 24 }, () => idle.ask(probePath, { token }))),
        )
        await wait(stopMs)
        stopped.thaw()
        const taken = await taking
        await wait(200)
        const answers = [...(await atOnce), ...(await asking.stop())]
        idle.close()
        expect(taken.status).toBe(200)
        accepted += acceptedAfter(answers, taken.answeredAt).length
        seen.push({
          stopMs: Math.round(stopMs),
          waitedMs: taken.body.coherence.waitedMs,
          fenced: taken.body.coherence.fenced,
          after: answers.filter(({ startedAt }) => startedAt > taken.answeredAt).length,
          ...tally(answers),
        })
        expect(taken.body.coherence.waitedMs).toBeLessThan(Math.max(stopMs, 0) + aboutALeaseMs)
      }
      report('stop lengths around the lease', {
        sweeps: seen.length,
        accepted,
        fenced: seen.filter(({ fenced }) => fenced === 1).length,
        ...(long ? {} : { seen }),
      })
      expect(accepted).toBe(0)
    },
    long ? 900_000 : 60_000,
  )

  it('a repeated revocation is not confirmed while the stopped node could still serve', async () => {
    await settled()
    const [first, second, stopped] = nodes as [FaultNode, FaultNode, FaultNode]
    const { token, jti } = await warmToken(database, nodes)
    await connect(stopped, token)
    stopped.freeze()
    const taking = revoke(first, root, jti)
    await until(async () => (await isRevoked(jti)) || undefined)
    const repeated = await revoke(second, root, jti)
    const listed = await database.sql(
      'select from coherence.nodes where not pg_visible_in_snapshot($1::xid8, acked)',
      [repeated.body.coherence.epoch],
    )
    const waiting = Array.from({ length: 20 }, () => stopped.ask(probePath, { token }))
    stopped.thaw()
    const answers = await Promise.all([...waiting, ...nodes.map((node) => node.ask(probePath, { token }))])
    expect(repeated.status).toBe(200)
    expect(listed).toEqual([])
    expect(repeated.body.coherence.waitedMs).toBeGreaterThan(leaseMs / 2)
    expect((await taking).status).toBe(200)
    expect(acceptedAfter(answers, repeated.answeredAt)).toEqual([])
    report('repeated while stopped', { waitedMs: repeated.body.coherence.waitedMs })
  }, 60_000)

  it('a node whose event loop stands still for two leases answers nothing from memory when it goes on', async () => {
    for (let turn = 0; turn < (long ? 10 : 1); turn += 1) {
      await settled()
      const [writer, , blocked] = nodes as [FaultNode, FaultNode, FaultNode]
      const { token, jti } = await warmToken(database, nodes)
      await connect(blocked, token)
      const asking = hammer([blocked], token, 10)
      await wait(100)
      blocked.freeze()
      const taken = await revoke(writer, root, jti)
      await wait(Math.max(0, 2 * leaseMs - (taken.answeredAt - taken.startedAt)))
      blocked.thaw()
      await wait(200)
      const answers = await asking.stop()
      expect(taken.status).toBe(200)
      expect(acceptedAfter(answers, taken.answeredAt)).toEqual([])
      expect(answers.filter(isAccepted).length).toBeGreaterThan(0) // those of before
    }
  }, 120_000)

  it('a writer killed between commit and answer has confirmed nothing; repeating it elsewhere waits', async () => {
    await settled()
    const [survivor, stopped, writer] = nodes as [FaultNode, FaultNode, FaultNode]
    const { token, jti } = await warmToken(database, nodes)
    await connect(stopped, token)
    stopped.freeze() // so that the writer has somebody to wait for
    const taking = revoke(writer, root, jti)
    await until(async () => (await isRevoked(jti)) || undefined)
    await writer.kill()
    expect((await taking).status).toBe(0)
    const repeated = await revoke(survivor, root, jti)
    const waiting = Array.from({ length: 20 }, () => stopped.ask(probePath, { token }))
    stopped.thaw()
    const answers = [
      ...(await Promise.all(waiting)),
      ...(await Promise.all([survivor, stopped].map((node) => node.ask(probePath, { token })))),
    ]
    expect(repeated.status).toBe(200)
    expect(repeated.body.coherence.fenced).toBe(2)
    expect(repeated.body.coherence.waitedMs).toBeLessThan(aboutALeaseMs)
    expect(acceptedAfter(answers, repeated.answeredAt)).toEqual([])
    report('writer killed', { waitedMs: repeated.body.coherence.waitedMs })
    nodes = [survivor, stopped, await cluster.add(leaseMs)]
  }, 60_000)
})

describe('leases of 0, 1 and 5 seconds side by side', () => {
  let database: TestDatabase
  let cluster: FaultNodes
  let root: string

  beforeAll(async () => {
    database = await createTestDatabase()
    cluster = await startNodes(database, { leases: [0, 1000, 5000] })
    root = (await warmToken(database, cluster.nodes, 'root')).token
  }, 60_000)
  afterAll(async () => {
    await cluster.close()
    await cleanUpProcesses()
    await database.drop()
  })

  it('with all of them well, a revocation by any is known to all', async () => {
    const waited: number[] = []
    for (let round = 0; round < (long ? 500 : 21); round += 1) {
      const { token, jti } = await warmToken(database, cluster.nodes)
      const taken = await revoke(cluster.nodes[round % 3]!, root, jti)
      const answers: Answer[] = await Promise.all(cluster.nodes.map((node) => node.ask(probePath, { token })))
      expect([taken.status, ...answers.map(({ status }) => status)]).toEqual([200, 401, 401, 401])
      waited.push(taken.answeredAt - taken.startedAt)
    }
    report('leases of 0, 1 and 5 s', {
      rounds: waited.length,
      p50Ms: percentile(waited, 0.5),
      p99Ms: percentile(waited, 0.99),
    })
  }, 120_000)

  it('each stopped node is waited for as long as its own lease, whoever writes', async () => {
    const waits: Record<number, number[]> = {}
    for (const stopped of cluster.nodes) {
      const writers = cluster.nodes.filter((node) => node !== stopped)
      const made = await Promise.all(writers.map(() => tokenFor(database, 'alice')))
      for (const { token } of made) await warm(cluster.nodes, token)
      await wait(600) // a renewal is heard of
      stopped.freeze()
      const taken = await Promise.all(writers.map((node, index) => revoke(node, root, made[index]!.jti)))
      const waiting = made.flatMap(({ token }) =>
        Array.from({ length: 10 }, () => stopped.ask(probePath, { token })),
      )
      await wait(100)
      stopped.thaw()
      const answers = await Promise.all(waiting)
      expect(taken.map(({ status }) => status)).toEqual([200, 200])
      expect(acceptedAfter(answers, Math.max(...taken.map(({ answeredAt }) => answeredAt)))).toEqual([])
      waits[stopped.leaseMs] = taken.map(({ body }) => body.coherence.waitedMs as number)
      for (const waitedMs of waits[stopped.leaseMs]!)
        expect(waitedMs).toBeLessThan(stopped.leaseMs * 1.01 + 3000)
      await warm([stopped], root)
    }
    report('waits by the stopped node’s lease', waits)
    expect(Math.max(...waits[5000]!)).toBeGreaterThan(3500) // not the writer's own, shorter one
  }, 120_000)
})
