import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { signToken, tokenFor, users, type DemoUser } from '../support/demo.js'
import { directoryOf } from '../support/directory.js'
import { cleanUpProcesses } from '../support/gateway-process.js'
import { acceptedAfter, isAccepted, type Answer } from './support/http.js'
import { long, percentile, report, rounds } from './support/mode.js'
import { probePath, revoke, startNodes, warm, warmToken, type FaultNodes } from './support/nodes.js'

/** What takes authority away, and the user whom it concerns. */
type Way = 'token' | 'user' | 'logout'
const ways: Way[] = ['token', 'user', 'logout']
const lanes = 3

describe('three processes on one database, nothing failing', () => {
  let database: TestDatabase
  let cluster: FaultNodes
  let root: string
  let petra: string

  beforeAll(async () => {
    database = await createTestDatabase()
    cluster = await startNodes(database, { leases: [5000, 5000, 5000] })
    root = (await warmToken(database, cluster.nodes, 'root')).token
    petra = (await warmToken(database, cluster.nodes, 'petra')).token
  }, 60_000)
  afterAll(async () => {
    await cluster.close()
    await cleanUpProcesses()
    await database.drop()
  })

  const take = (way: Way, at: number, login: { token: string; jti: string }, userId: string) => {
    const node = cluster.nodes[at % 3]!
    if (way === 'token') return revoke(node, root, login.jti)
    if (way === 'user')
      return node.ask(`/admin/users/${userId}`, { method: 'PATCH', token: petra, body: { enabled: false } })
    return node.ask('/auth/logout', { method: 'POST', token: login.token })
  }

  it(
    `in ${rounds} rounds of taking authority away, no request that starts after the answer is let in, by any node`,
    async () => {
      const directory = directoryOf(database)
      const waited: number[] = []
      const answers: Answer[] = []
      let [accepted, probes, overlapping] = [0, 0, 0]
      let next = 0

      /** Asks all nodes while authority is being taken away, so that loads and drops cross. */
      const round = async (number: number, user: { id: string; username: string }) => {
        const way = ways[number % 3]!
        const login = await tokenFor(database, 'alice', {
          claims: { sub: user.username, userId: user.id },
          row: { userId: user.id },
        })
        const isCold = number % 5 === 4 // then loads are under way when the change comes
        if (!isCold) await warm(cluster.nodes, login.token)
        let over = false
        const crossing = cluster.nodes.map(async (node) => {
          const seen: Answer[] = []
          while (!over) seen.push(await node.ask(probePath, { token: login.token }))
          return seen
        })
        const taken = await take(way, number, login, user.id)
        const after = await Promise.all(
          cluster.nodes.flatMap((node) => [1, 2].map(() => node.ask(probePath, { token: login.token }))),
        )
        over = true
        const all = [...after, ...(await Promise.all(crossing)).flat()]
        expect({ way, status: taken.status }).toEqual({ way, status: way === 'logout' ? 204 : 200 })
        if (way === 'user')
          expect(
            (
              await cluster.nodes[0]!.ask(`/admin/users/${user.id}`, {
                method: 'PATCH',
                token: petra,
                body: { enabled: true },
              })
            ).status,
          ).toBe(200)
        waited.push(taken.answeredAt - taken.startedAt)
        answers.push(...all.filter((answer) => answer.startedAt > taken.answeredAt && !isAccepted(answer)))
        accepted += acceptedAfter(all, taken.answeredAt).length
        probes += all.filter((answer) => answer.startedAt > taken.answeredAt).length
        overlapping += all.filter((answer) => answer.startedAt <= taken.answeredAt).length
      }
      await Promise.all(
        Array.from({ length: lanes }, async () => {
          const user = await directory.user()
          while (next < rounds) await round(next++, user)
        }),
      )
      report('rounds', {
        rounds,
        probes,
        overlapping,
        accepted,
        p50Ms: percentile(waited, 0.5),
        p99Ms: percentile(waited, 0.99),
        maxMs: percentile(waited, 1),
      })
      expect(accepted).toBe(0)
      expect(probes).toBeGreaterThanOrEqual(rounds * 6)
      // a healthy database is never unavailable
      expect(answers.every(({ status }) => status === 401 || status === 403)).toBe(true)
    },
    long ? 3_600_000 : 120_000,
  )

  it('taking a token’s authority away takes milliseconds, not a lease', async () => {
    const logins = await Promise.all(Array.from({ length: 100 }, () => tokenFor(database, 'alice')))
    const waited: number[] = []
    for (const [index, { jti }] of logins.entries()) {
      const taken = await revoke(cluster.nodes[index % 3]!, root, jti)
      expect(taken.body.coherence).toMatchObject({ acked: 3, fenced: 0 })
      waited.push(taken.answeredAt - taken.startedAt)
    }
    report('latency of a revocation, one at a time', {
      revocations: waited.length,
      p50Ms: percentile(waited, 0.5),
      p99Ms: percentile(waited, 0.99),
    })
    expect(percentile(waited, 0.5)).toBeLessThan(500)
  }, 60_000)

  it(
    'in the steady state the number of statements does not depend on the number of requests',
    async () => {
      const requests = long ? 100_000 : 10_000
      const people: DemoUser[] = ['alice', 'bob', 'erin', 'petra']
      const logins = await Promise.all(people.map((user) => tokenFor(database, user)))
      for (const { token } of logins) await warm(cluster.nodes, token)
      const transactions = async () => {
        // a backend that works tells its numbers once a second, an idle one after 10 s or when it ends
        await database.sql(
          `select pg_terminate_backend(pid)
            from pg_stat_activity
            where application_name <> 'mandate-gateway lease'
              and datname = current_database()
              and pid <> pg_backend_pid()`,
        )
        await database.sql('select pg_stat_force_next_flush()')
        await wait(1500)
        const [row] = await database.sql<{ count: string }>(
          'select xact_commit + xact_rollback as count from pg_stat_database where datname = current_database()',
        )
        return { count: Number(row!.count), at: performance.now() }
      }
      const rateOf = async (work: () => Promise<unknown>) => {
        const before = await transactions()
        await work()
        const after = await transactions()
        return {
          count: after.count - before.count,
          perSecond: ((after.count - before.count) / (after.at - before.at)) * 1000,
        }
      }
      const idle = await rateOf(() => wait(2000))
      let sent = 0
      let accepted = 0
      const loaded = await rateOf(() =>
        Promise.all(
          cluster.nodes.flatMap((node) =>
            Array.from({ length: 8 }, async () => {
              while (sent < requests) {
                sent += 1
                const answer = await node.ask(probePath, { token: logins[sent % logins.length]!.token })
                if (isAccepted(answer)) accepted += 1
              }
            }),
          ),
        ),
      )
      report('steady state', {
        requests: sent,
        idlePerSecond: idle.perSecond.toFixed(1),
        loadedPerSecond: loaded.perSecond.toFixed(1),
        transactionsUnderLoad: loaded.count,
      })
      expect(accepted).toBe(sent)
      expect(loaded.perSecond).toBeLessThan(idle.perSecond * 1.5 + 10)
      expect(loaded.count).toBeLessThan(requests / 20)
    },
    long ? 600_000 : 90_000,
  )

  it('a token that was signed but never stored is refused, and let in once its row is there', async () => {
    const [jti, sid] = [crypto.randomUUID(), crypto.randomUUID()]
    const token = await signToken('alice', jti, sid)
    for (const node of cluster.nodes) expect((await node.ask(probePath, { token })).status).toBe(401)
    await database.sql('insert into sessions (id, user_id, authority) values ($1, $2, $3)', [
      sid,
      users.alice,
      'local',
    ])
    await database.sql(
      `insert into tokens (id, user_id, authority, session_id, expires_at)
        values ($1, $2, 'local', $3, now() + interval '1 hour')`,
      [jti, users.alice, sid],
    )
    for (const node of cluster.nodes) expect((await node.ask(probePath, { token })).status).toBe(200)
  })
})
