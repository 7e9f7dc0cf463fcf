import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startNodes, warmToken, type FaultNodes } from '../faults/support/nodes.js'
import { examineDatabase } from '../../src/database/examine.js'
import type { TestDatabase } from '../support/database.js'
import { cleanUpProcesses } from '../support/gateway-process.js'
import { until } from '../support/until.js'
import { report, rounds } from './support/mode.js'
import { startAddress, type Address } from './support/address.js'
import { runRound } from './support/load.js'
import { startPair, type Pair } from './support/servers.js'

const leaseMs = 1000

/**
 * What happens to the primary, and to the gateway's connections. New ones lead to the promoted standby at
 * once. Calls back when the old primary can commit nothing more.
 */
const events: Record<string, (pair: Pair, address: Address, onOut: () => void) => Promise<void>> = {
  'the primary is killed': async ({ primary, standby }, address, onOut) => {
    await primary.kill()
    onOut()
    await standby.promote()
    address.lead(standby.port)
    address.cut()
  },
  'the standby is promoted, and each connection stays with the old primary or not, as it happens': async (
    { standby },
    address,
    onOut,
  ) => {
    await standby.promote()
    onOut()
    address.lead(standby.port)
    address.cut(() => Math.random() < 0.5)
  },
  'the standby is promoted, and only the connections of leases move to it': async (
    { standby },
    address,
    onOut,
  ) => {
    await standby.promote()
    onOut()
    address.lead(standby.port)
    address.cut((kind) => kind === 'lease')
  },
  'the standby is promoted, and only the connections of pools move to it': async (
    { standby },
    address,
    onOut,
  ) => {
    await standby.promote()
    onOut()
    address.lead(standby.port)
    address.cut((kind) => kind === 'pool')
  },
  'the primary is stopped in order, and the standby takes over': async (
    { primary, standby },
    address,
    onOut,
  ) => {
    await primary.stop()
    onOut()
    await standby.promote()
    address.lead(standby.port)
    address.cut()
  },
  'the primary is paused, the standby takes over, and the old primary goes on': async (
    { primary, standby },
    address,
    onOut,
  ) => {
    await primary.pause()
    onOut()
    await standby.promote()
    address.lead(standby.port)
    await wait(2000)
    primary.resume()
  },
}

describe('a primary with a synchronous standby, behind one address', () => {
  let pair: Pair
  let address: Address
  let cluster: FaultNodes
  let database: TestDatabase

  beforeAll(async () => {
    pair = await startPair()
    address = await startAddress(pair.primary.port)
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
  }, 180_000)
  afterAll(async () => {
    await cluster.close()
    await cleanUpProcesses()
    await address.close()
    await pair.close()
  }, 60_000)

  it('a standby that is asynchronous is named by doctor and in the log, with what that costs', async () => {
    const wait = async (names: string) => {
      await pair.primary.sql(`alter system set synchronous_standby_names = '${names}'`)
      await pair.primary.sql('select pg_reload_conf()')
    }
    const url = pair.url(pair.primary.port)
    const finding = async () =>
      (await examineDatabase({ url, ownerUrl: url, directUrl: url, setRole: false })).find(
        ({ check }) => check === 'standbys',
      )
    expect(await finding()).toMatchObject({ level: 'ok' })
    await wait('')
    try {
      await until(async () => (await finding())?.level === 'warning')
      expect(await finding()).toMatchObject({
        says: expect.stringContaining('can lose revocations'),
        todo: expect.stringContaining('synchronous_standby_names'),
      })
      for (const { process } of cluster.nodes) await process.says(/a standby is asynchronous/)
    } finally {
      await wait('*')
    }
    await until(
      async () =>
        (await pair.primary.sql(`select from pg_stat_replication where sync_state = 'sync'`)).length === 1,
    )
  })

  it.each(Object.entries(events))(
    '%s: nothing is let in after its revocation was answered, and no answered revocation is lost',
    async (name, event) => {
      for (let round = 1; round <= rounds; round += 1) {
        // a new one, as twenty rounds take longer than a token lives
        const { token: root } = await warmToken(database, cluster.nodes, 'root')
        const outcome = await runRound({
          nodes: cluster.nodes,
          root,
          before: pair.primary,
          successor: () => pair.standby,
          event: (onOut) => event(pair, address, onOut),
          afterMs: Number(process.env.REPLICATION_AFTER_MS ?? 4000),
        })
        report(name, { round, ...outcome })
        expect(outcome).toMatchObject({ accepted: 0, acceptedForGood: 0, lost: 0 })
        expect(outcome.firstAfterMs).toBeDefined() // revocations are served again
        // a good token is never told 401
        expect(Object.keys(outcome.good).filter((status) => status !== '200' && status !== '503')).toEqual([])
        await pair.rebuild()
      }
    },
    120_000 * rounds,
  )
})
