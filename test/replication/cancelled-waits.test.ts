import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { isAccepted } from '../faults/support/http.js'
import { probePath, revoke, startNodes, warm, warmToken, type FaultNodes } from '../faults/support/nodes.js'
import { users } from '../support/demo.js'
import type { TestDatabase } from '../support/database.js'
import { cleanUpProcesses } from '../support/gateway-process.js'
import { until } from '../support/until.js'
import { startAddress, type Address } from './support/address.js'
import { makeTokens, runRound } from './support/load.js'
import { report } from './support/mode.js'
import { startPair, type Pair, type Server } from './support/servers.js'

/** Longer than a test needs from the last renewal before the standby is lost to the last request. */
const longLeaseMs = 20_000

/** Cancels each wait for the standby, again and again, as an operator does to whom they look stuck. */
function cancelWaits(server: Server) {
  let [cancelled, over] = [0, false]
  const cancelling = (async () => {
    while (!over) {
      const rows = await server
        .sql<{ done: boolean }>(
          `select pg_cancel_backend(pid) as done from pg_stat_activity where wait_event = 'SyncRep'`,
        )
        .catch(() => [])
      cancelled += rows.filter(({ done }) => done).length
      await wait(20)
    }
  })()
  return {
    cancelled: () => cancelled,
    stop: async () => {
      over = true
      await cancelling
    },
  }
}

/** Parts a standby from its primary. The primary's commits wait for it from then on. */
async function part({ primary, standby }: Pair): Promise<void> {
  await standby.sql(`alter system set primary_conninfo = ''`)
  await standby.sql('select pg_reload_conf()')
  await until(async () => (await primary.sql('select from pg_stat_replication')).length === 0, 10_000)
}

describe('a wait for the synchronous standby that is cancelled by hand', () => {
  let pair: Pair
  let address: Address
  let cluster: FaultNodes
  let database: TestDatabase
  let root: string

  const start = async (leaseMs: number) => {
    database = {
      url: pair.url(address.port),
      ownerUrl: pair.url(address.port, 'postgres'),
      sql: (statement, values) => pair.primary.sql(statement, values),
      drop: () => Promise.resolve(),
    }
    cluster = await startNodes(database, {
      leases: [leaseMs, leaseMs, leaseMs],
      environment: { LOG_LEVEL: 'warn' },
    })
    root = (await warmToken(database, cluster.nodes, 'root')).token
  }
  const failOver = async () => {
    await pair.primary.kill()
    await pair.standby.promote()
    address.lead(pair.standby.port)
    address.cut()
  }

  beforeEach(async () => {
    pair = await startPair()
    address = await startAddress(pair.primary.port)
  }, 180_000)
  afterEach(async () => {
    await cluster.close()
    await cleanUpProcesses()
    await address.close()
    await pair.close()
  }, 60_000)
  afterAll(cleanUpProcesses)

  it('confirms neither a revocation nor its repetition, and a failover that loses it finds it unanswered', async () => {
    await start(longLeaseMs)
    const [login] = await makeTokens(pair.primary, 1)
    await warm(cluster.nodes, login!.token)
    const statusAt = async (server: Server) =>
      (await server.sql<{ status: string }>('select status from tokens where id = $1', [login!.jti]))[0]
        ?.status

    await part(pair)
    const operator = cancelWaits(pair.primary)
    const answers = []
    for (const node of [...cluster.nodes, ...cluster.nodes])
      answers.push(await revoke(node, root, login!.jti))
    await operator.stop()
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503))
    expect(operator.cancelled()).toBeGreaterThanOrEqual(answers.length)
    expect(await statusAt(pair.primary)).toBe('revoked') // Postgres has committed it, but on this server only

    await failOver()
    expect(await statusAt(pair.standby)).toBe('active')
    await until(async () => isAccepted(await revoke(cluster.nodes[0]!, root, login!.jti)), 60_000)
    expect(await statusAt(pair.standby)).toBe('revoked')
    for (const node of cluster.nodes)
      expect((await node.ask(probePath, { token: login!.token })).status).toBe(401)
  }, 180_000)

  it('a repeated removal is not told that nothing is there while a failover may undo the first', async () => {
    await start(longLeaseMs)
    const [login] = await makeTokens(pair.primary, 1)
    const [session] = await pair.primary.sql<{ id: string }>(
      'select session_id as id from tokens where id = $1',
      [login!.jti],
    )
    const [node] = cluster.nodes
    const { token: petra } = await warmToken(database, cluster.nodes, 'petra')
    const remove = () =>
      node!.ask(`/admin/users/${users.alice}/sessions/${session!.id}`, { method: 'DELETE', token: petra })

    await part(pair)
    const operator = cancelWaits(pair.primary)
    const answers = [await remove(), await remove(), await remove()]
    await operator.stop()
    expect(
      await pair.primary.sql('select from sessions where id = $1 and ended_at is not null', [session!.id]),
    ).toHaveLength(1)
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503])
    await failOver()
    expect(
      await pair.standby.sql('select from sessions where id = $1 and ended_at is null', [session!.id]),
    ).toHaveLength(1)
    await until(async () => isAccepted(await remove()), 60_000)
    expect((await remove()).status).toBe(404)
  }, 180_000)

  it('an old primary with cancelled waits accepts nothing the new one revoked, loses nothing confirmed', async () => {
    await start(1000)
    const operators: ReturnType<typeof cancelWaits>[] = []
    const event = async (onOut: () => void) => {
      await part(pair)
      operators.push(cancelWaits(pair.primary))
      await wait(2000) // all leases of before have ended
      await pair.standby.promote()
      onOut()
      address.lead(pair.standby.port)
      address.cut(() => Math.random() < 0.5)
    }
    const outcome = await runRound({
      nodes: cluster.nodes,
      root,
      before: pair.primary,
      successor: () => pair.standby,
      event,
      afterMs: 4000,
    })
    for (const operator of operators) await operator.stop()
    report('all waits are cancelled', { ...outcome, cancelled: operators[0]?.cancelled() })
    expect(operators[0]?.cancelled()).toBeGreaterThan(0)
    expect(outcome).toMatchObject({
      accepted: 0,
      acceptedForGood: 0,
      lost: 0,
      firstAfterMs: expect.any(Number),
    })
    expect(Object.keys(outcome.good).filter((status) => status !== '200' && status !== '503')).toEqual([])
  }, 180_000)
})
