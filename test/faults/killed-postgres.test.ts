import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { TestDatabase } from '../support/database.js'
import { signToken, users } from '../support/demo.js'
import { cleanUpProcesses } from '../support/gateway-process.js'
import { until } from '../support/until.js'
import { acceptedAfter, isAccepted, tally, type Answer } from './support/http.js'
import { long, report } from './support/mode.js'
import { hammer, probePath, revoke, startNodes, warmToken, type FaultNodes } from './support/nodes.js'
import { startOwnPostgres, type OwnPostgres } from './support/postgres.js'

const leaseMs = 1000
const recoveryMs = 30_000

/** Many tokens of alice at once: with fsync on, one by one would take longer than the test. */
async function tokensFor(database: TestDatabase, howMany: number): Promise<{ token: string; jti: string }[]> {
  const rows = await database.sql<{ jti: string; sid: string }>(
    `
    with made as (
        insert into sessions (user_id, authority)
        select $1::uuid, 'local'
        from generate_series(1, $2)
        returning id
      )
    , given as (select id as sid, gen_random_uuid() as jti from made)
    select sid, jti from given`,
    [users.alice, howMany],
  )
  await database.sql(
    `insert into tokens (id, user_id, authority, session_id, expires_at)
    select jti, $1, 'local', sid, now() + interval '1 hour' from unnest($2::uuid[], $3::uuid[]) as made (jti, sid)`,
    [users.alice, rows.map(({ jti }) => jti), rows.map(({ sid }) => sid)],
  )
  return await Promise.all(
    rows.map(async ({ jti, sid }) => ({ jti, token: await signToken('alice', jti, sid) })),
  )
}

describe('a Postgres that is killed while authority is taken away', () => {
  let postgres: OwnPostgres
  let cluster: FaultNodes
  let root: string

  beforeAll(async () => {
    postgres = await startOwnPostgres()
    const { database } = postgres
    const first = await startNodes(database, { leases: [leaseMs] }) // migrates and seeds
    await Promise.all([first.add(leaseMs), first.add(leaseMs)])
    cluster = first
    root = (await warmToken(database, cluster.nodes, 'root')).token
  }, 90_000)
  afterAll(async () => {
    await cluster.close()
    await cleanUpProcesses()
    await postgres.database.drop()
  }, 60_000)

  const lanes = 4
  it.each([
    ['its postmaster is killed', 'kill', long ? 25 : 1],
    ['one of its backends is killed, and its memory restarted', 'killBackend', long ? 25 : 1],
  ] as const)(
    '%s: no answer without a durable row, nothing let in after an answer, and service resumes',
    async (_what, how, kills) => {
      const { database } = postgres
      const still = await warmToken(database, cluster.nodes, 'bob')
      const asking = hammer(cluster.nodes, still.token, 25)
      const logins = await tokensFor(database, long ? 6000 : 500)
      const revoked: { jti: string; token: string; answeredAt: number }[] = []
      const probes: Answer[] = []
      const outcomes: Answer[] = []
      const outages: number[] = []
      let accepted = 0
      let over = false
      let next = 0
      const revoking = Array.from({ length: lanes }, async () => {
        while (!over && next < logins.length) {
          const { token, jti } = logins[next++]!
          await Promise.all(cluster.nodes.map((node) => node.ask(probePath, { token })))
          const taken = await revoke(cluster.nodes[next % 3]!, root, jti)
          outcomes.push(taken)
          if (!isAccepted(taken)) {
            await wait(50)
            continue
          }
          revoked.push({ jti, token, answeredAt: taken.answeredAt })
          const answers = await Promise.all(cluster.nodes.map((node) => node.ask(probePath, { token })))
          accepted += acceptedAfter(answers, taken.answeredAt).length
          probes.push(...answers)
        }
      })
      for (let count = 0; count < kills; count += 1) {
        await wait(300 + Math.random() * 700)
        const killedAt = performance.now()
        await postgres[how]()
        const before = revoked.length
        await until(
          () => Promise.resolve(revoked.length > before + 3 || next >= logins.length || undefined),
          recoveryMs,
        )
        outages.push(Math.round(performance.now() - killedAt))
      }
      await wait(300)
      over = true
      await Promise.all(revoking)
      const ofStill = await asking.stop()

      const durable = await until(
        () =>
          database
            .sql<{ id: string }>(`select id from tokens where status = 'revoked'`)
            .catch(() => undefined),
        recoveryMs,
      )
      const ids = new Set(durable.map(({ id }) => id))
      expect(revoked.filter(({ jti }) => !ids.has(jti))).toEqual([])
      const late = (
        await Promise.all(revoked.slice(-200).map(({ token }) => cluster.nodes[1]!.ask(probePath, { token })))
      ).filter(isAccepted)
      report(`postgres: ${how}`, {
        kills,
        revocations: tally(outcomes),
        accepted,
        probes: tally(probes),
        still: tally(ofStill),
        outagesMs: outages,
      })
      expect(accepted).toBe(0)
      expect(late).toEqual([])
      expect(revoked.length).toBeGreaterThan(0)
      // a good login is never told 401
      for (const { status } of [...outcomes, ...ofStill]) expect([200, 503]).toContain(status)
      for (const { status } of probes) expect([401, 503]).toContain(status)
      await until(
        async () =>
          (
            await Promise.all(cluster.nodes.map((node) => node.ask('/auth/me', { token: still.token })))
          ).every(isAccepted) || undefined,
        recoveryMs,
      )
    },
    long ? 900_000 : 120_000,
  )
})
