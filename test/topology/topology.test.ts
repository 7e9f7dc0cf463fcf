import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { acceptedAfter, clientOf, tally, type Client } from '../faults/support/http.js'
import { sendRequest, beginRequest } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { until } from '../support/until.js'
import { failuresAmong, startLoad, type Load, type Outcome } from './support/load.js'
import { long, report } from './support/mode.js'
import {
  checkConfiguration,
  isPrometheusInstalled,
  queriesOfAlerts,
  queriesOfDashboard,
  startPrometheus,
  type Prometheus,
} from './support/prometheus.js'
import { startTopology, type Topology, type TopologyNode } from './support/topology.js'

const leaseMs = 5000 // nobody has set another in docker-compose.yml
const startMs = 60_000

describe('three nodes behind nginx, as docker-compose.yml has them, under load', () => {
  let topology: Topology
  let prometheus: Prometheus | undefined
  let client: Client
  let load: Load
  let root: string
  beforeAll(async () => {
    topology = await startTopology()
    prometheus = isPrometheusInstalled
      ? await startPrometheus(topology.nodes.map(({ metricsUrl }) => metricsUrl))
      : undefined
    client = clientOf(topology.url)
    root = (await tokenFor(topology.database, 'root')).token
  }, startMs)
  beforeEach(async () => {
    load = await startLoad(topology.url, topology.database)
    await allIsWell()
  }, startMs)
  afterEach(async () => {
    await load.stop()
  }, startMs)
  afterAll(async () => {
    client.close()
    await prometheus?.stop()
    await topology.stop()
  }, startMs)

  const since = (moment: number) => load.outcomes.filter(({ startedAt }) => startedAt >= moment)
  /**
   * Answers when everything that is asked has been answered as it should for a while. Answers how long that
   * took.
   */
  const allIsWell = async (forMs = 1000) => {
    const from = performance.now()
    let at = from
    await until(async () => {
      await pause(50)
      const bad = since(at)
        .filter(({ status }) => status >= 400 || status === 0)
        .at(-1)
      if (bad) at = bad.answeredAt
      const kinds = new Set(since(at).map(({ what }) => what))
      return performance.now() - at > forMs && kinds.has('forward') && kinds.has('login') ? true : undefined
    }, 30_000)
    return Math.round(at - from)
  }
  const revoke = (jti: string) => client.ask(`/system/tokens/${jti}`, { method: 'DELETE', token: root })
  const measured = (outcomes: Outcome[]) => ({
    requests: outcomes.length,
    statuses: tally(outcomes),
    slowestMs: Math.round(Math.max(...outcomes.map(({ startedAt, answeredAt }) => answeredAt - startedAt))),
  })
  const endsOf = (moment: number) => {
    const counts: Record<string, number> = {}
    for (const { what, at } of load.ends) if (at >= moment) counts[what] = (counts[what] ?? 0) + 1
    return counts
  }

  it(
    'a rolling restart fails no request: streams end in order and come back at once',
    async () => {
      const from = performance.now()
      for (let round = 0; round < (long ? 10 : 1); round += 1) {
        for (const node of topology.nodes) {
          expect(await node.terminate()).toBe(0)
          await node.start()
        }
      }
      await pause(500)
      const outcomes = since(from)
      report('rolling restart', {
        ...measured(outcomes),
        ends: endsOf(from),
        tookMs: Math.round(performance.now() - from),
      })
      expect(failuresAmong(outcomes)).toEqual({})
      expect(outcomes.length).toBeGreaterThan(200)
      expect(Object.keys(endsOf(from)).sort()).toEqual(['events: ended', 'socket: 1001'])
    },
    long ? 600_000 : 60_000,
  )

  it('a node that is back is asked at once, when nginx has just seen all of them away', async () => {
    const from = performance.now()
    const [first, second, third] = topology.nodes as [TopologyNode, TopologyNode, TopologyNode]
    await Promise.all([first, second].map((node) => node.terminate()))
    await pause(200) // requests find them gone
    await Promise.all([first, second].map((node) => node.start()))
    await third.terminate()
    await pause(200)
    const outcomes = since(from)
    await third.start()
    report('two restarted, then the third', {
      ...measured(outcomes),
      failed: failuresAmong(outcomes),
      tookMs: Math.round(performance.now() - from),
    })
    expect(failuresAmong(outcomes)).toEqual({})
  }, 60_000)

  it('a killed node loses only its requests under way that cannot be repeated; revocations hold', async () => {
    const { token, jti } = await tokenFor(topology.database, 'bob')
    const probe = () => client.ask('/auth/context', { token })
    // each node remembers it
    for (let count = 0; count < 12; count += 1) expect((await probe()).status).toBe(200)
    const uploads = Array.from({ length: 9 }, () => {
      const one = beginRequest(topology.url, '/api/crm/echo', {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${root}`,
          'X-Mandate-Id': mandates.acme,
          'Transfer-Encoding': 'chunked',
        },
      })
      one.req.on('error', () => undefined)
      one.req.write('half')
      return one
    })
    await pause(300)
    const from = performance.now()
    await topology.nodes[0]!.kill()
    const dead = performance.now()
    const revoked = await revoke(jti)
    const probes = await Promise.all(Array.from({ length: 30 }, probe))
    for (const { req } of uploads) req.end('whole')
    const statuses = await Promise.all(
      uploads.map(async ({ response }) => (await response).resume().statusCode),
    )
    const second = await revoke((await tokenFor(topology.database, 'erin')).jti)
    await topology.nodes[0]!.start()
    await pause(500)
    const later = await Promise.all(Array.from({ length: 30 }, probe))

    const lost = statuses.filter((status) => status !== 200).length
    const outcomes = since(from - 1000).filter(({ answeredAt }) => answeredAt >= from)
    report('node killed', {
      ...measured(outcomes),
      failed: failuresAmong(outcomes),
      uploads: statuses,
      coherence: [revoked.body.coherence, second.body.coherence],
    })
    expect(revoked.status).toBe(200)
    const { acked, fenced, waitedMs } = revoked.body.coherence as {
      acked: number
      fenced: number
      waitedMs: number
    }
    // it waited for the dead one, whoever has fenced that
    expect([acked + fenced, waitedMs > leaseMs / 2]).toEqual([3, true])
    expect(revoked.answeredAt - revoked.startedAt).toBeLessThan(leaseMs + 3000)
    expect(second.body.coherence).toMatchObject({ acked: 2, fenced: 0 })
    expect(acceptedAfter([...probes, ...later], revoked.answeredAt)).toEqual([])
    expect(tally([...probes, ...later])).toEqual({ 401: 60 })
    // those of the two others have come to their end
    expect([
      lost > 0,
      lost < uploads.length,
      statuses.every((status) => status === 200 || status === 503),
    ]).toEqual([true, true, true])
    expect(
      failuresAmong(outcomes.filter(({ method, startedAt }) => method !== 'POST' || startedAt > dead)),
    ).toEqual({})
    for (const { status, headers } of outcomes.filter(({ status }) => status >= 400))
      expect([status, headers['retry-after']]).toEqual([503, '1'])
  }, 60_000)

  it('without Redis no request fails, and when it is back nodes count together again', async () => {
    /**
     * Sends requests of one address through nginx. Answers how to ask the nodes of how many they know, which
     * counts, too.
     */
    const count = async (address: string) => {
      const one = clientOf(topology.url, address)
      for (let sent = 0; sent < 30; sent += 1) await one.ask('/healthz')
      one.close()
      let total = 30
      return async () => {
        const known = await Promise.all(
          topology.nodes.map(async ({ url }) => {
            const { headers } = await sendRequest(url, '/healthz', {
              headers: { 'X-Forwarded-For': address },
            })
            return 1200 - Number(/r=(\d+)/.exec(String(headers.ratelimit))?.[1])
          }),
        )
        total += topology.nodes.length
        // the last questions may be on their way
        return Math.min(...known) > total - 3 * topology.nodes.length
      }
    }
    const countTogether = async (address: string) => {
      const areKnown = await count(address)
      await until(async () => {
        await pause(150)
        return (await areKnown()) ? true : undefined
      })
    }
    await countTogether('127.0.1.1')
    const from = performance.now()
    await topology.redis.stop()
    await pause(2000)
    const areKnown = await count('127.0.1.2')
    await pause(300)
    const alone = await areKnown()
    await topology.redis.start()
    await until(
      () =>
        Promise.resolve(
          topology.nodes.every((node) => node.process().output().includes('Redis answers again'))
            ? true
            : undefined,
        ),
      15_000,
    )
    await countTogether('127.0.1.3')
    const outcomes = since(from)
    report('Redis away', { ...measured(outcomes) })
    expect(failuresAmong(outcomes)).toEqual({})
    expect(alone).toBe(false) // each counts by itself
  }, 60_000)

  it('a Postgres restart: memory serves until the lease ends, then 503 with Retry-After, then recovery', async () => {
    const { token } = await tokenFor(topology.database, 'carol')
    const from = performance.now()
    await topology.postgres.stop()
    const gone = performance.now()
    const unknown = await client.ask('/auth/context', { token })
    await pause(leaseMs + 2500)
    const back = performance.now()
    await topology.postgres.start()
    const started = performance.now()
    const recoveredMs = await allIsWell()
    const outcomes = since(from)
    const remembered = outcomes.filter(({ isRemembered }) => isRemembered)
    const early = remembered.filter(({ startedAt }) => startedAt > gone && startedAt < from + leaseMs - 1500)
    const late = outcomes.filter(
      ({ startedAt, answeredAt }) => startedAt > gone + leaseMs && answeredAt < back,
    )
    report('Postgres restarted', {
      ...measured(outcomes),
      failed: failuresAmong(outcomes),
      early: tally(early),
      late: tally(late),
      stoppedInMs: Math.round(gone - from),
      startedInMs: Math.round(started - back),
      recoveredMs,
      ends: endsOf(from),
    })
    expect([unknown.status, unknown.body.code]).toEqual([503, 'authentication_unavailable'])
    expect(failuresAmong(early)).toEqual({})
    expect(early.length).toBeGreaterThan(50)
    expect(tally(late)).toEqual({ 503: late.length })
    expect(late.length).toBeGreaterThan(50)
    for (const { what, status, headers, body } of outcomes.filter(
      ({ status }) => status >= 400 || status === 0,
    ))
      expect([what, status, body?.code, Number(headers['retry-after']) > 0]).toEqual([
        what,
        503,
        expect.stringMatching(/_unavailable$/),
        true,
      ])
    expect(recoveredMs).toBeLessThan(5000)
    expect((await client.ask('/auth/context', { token })).status).toBe(200)
  }, 60_000)

  const withPrometheus = isPrometheusInstalled ? it : it.skip
  withPrometheus(
    'Prometheus reads every node, and each panel of the dashboard shows something' +
      (isPrometheusInstalled ? '' : ': skipped (apt-get install prometheus)'),
    async () => {
      const { query } = prometheus!
      const panels = await queriesOfDashboard()
      const emptyOnes = async () => {
        await client.ask('/moving/contacts') // counted as watched
        const shown = await Promise.all(
          panels.map(async ({ expression }) =>
            (await query(expression)).some(({ value }) => Number.isFinite(value)),
          ),
        )
        return panels
          .filter((_, index) => !shown[index])
          .map(({ title, expression }) => `${title}: ${expression}`)
      }
      const deadline = performance.now() + 30_000
      let empty = await emptyOnes()
      while (empty.length > 0 && performance.now() < deadline) {
        // a rate takes two scrapes
        await pause(500)
        empty = await emptyOnes()
      }
      expect(panels.length).toBeGreaterThan(20)
      expect(empty).toEqual([])
      expect((await query('sum(up)'))[0]?.value).toBe(topology.nodes.length)
      // rejects what Prometheus does not understand
      for (const expression of await queriesOfAlerts()) await query(expression)
      expect(await checkConfiguration()).toMatchObject({ code: 0 })
    },
    60_000,
  )
})
