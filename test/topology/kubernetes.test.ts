import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { sendRequest } from '../support/http-client.js'
import { until } from '../support/until.js'
import { startService, type Service } from './support/kubernetes-service.js'
import { failuresAmong, startLoad, type Load } from './support/load.js'
import { report } from './support/mode.js'
import { startTopology, type Topology, type TopologyNode } from './support/topology.js'

const values = path.resolve(import.meta.dirname, '../../deploy/helm/mandate-gateway/values.yaml')
/**
 * How long after a pod began to end its address is still sent connections: proxies learn of it one after the
 * other.
 */
const learnsAfterMs = 1500

describe('pods behind a Service of Kubernetes, under load', () => {
  let topology: Topology
  let service: Service
  let load: Load
  let preStopSeconds = 0
  beforeAll(async () => {
    preStopSeconds = (parse(await readFile(values, 'utf8')) as { preStopSeconds: number }).preStopSeconds
    topology = await startTopology()
    service = await startService(topology.nodes.map(({ url }) => url))
  }, 60_000)
  beforeEach(async () => {
    load = await startLoad(service.url, topology.database)
    await until(() => Promise.resolve(load.outcomes.length > 100 || undefined), 30_000)
  }, 60_000)
  afterEach(() => load.stop())
  afterAll(async () => {
    await service.stop()
    await topology.stop()
  }, 60_000)

  /**
   * Ends a pod as Kubernetes does: at once it is Terminating, later the proxies know; SIGTERM comes when
   * preStop has ended. Then a new pod comes.
   */
  async function replace(node: TopologyNode, preStopMs: number) {
    const removed = pause(learnsAfterMs).then(() => service.remove(node.url))
    await pause(preStopMs)
    const atTerm = service.connectionsTo(node.url)
    const code = await node.terminate()
    await removed
    await node.start()
    service.add(node.url)
    return { code, atTerm }
  }

  /**
   * Clients that come for the first time while `work` goes on, each with a connection of its own. Returns the
   * result of the work and how many were not answered.
   */
  async function withNewcomers<Result>(
    work: Promise<Result>,
  ): Promise<{ result: Result; came: number; lost: number }> {
    let [isOver, came, lost] = [false, 0, 0]
    const coming = (async () => {
      while (!isOver) {
        came += 1
        lost += await sendRequest(service.url, '/healthz').then(
          () => 0,
          () => 1,
        )
        await pause(25)
      }
    })()
    const result = await work
    isOver = true
    await coming
    return { result, came, lost }
  }

  it('loses no request while preStop lets proxies learn that a pod ends, though requests still arrive', async () => {
    const from = performance.now()
    const {
      result: { code, atTerm },
      came,
      lost,
    } = await withNewcomers(replace(topology.nodes[0]!, preStopSeconds * 1000))
    await pause(500)
    const outcomes = load.outcomes.filter(({ startedAt }) => startedAt >= from)
    report('preStop', {
      requests: outcomes.length,
      failed: failuresAmong(outcomes),
      came,
      lost,
      connectionsAtSigterm: atTerm,
    })
    expect([code, atTerm > 0]).toEqual([0, true]) // kept-alive connections outlive the Service's list
    expect([outcomes.length > 100, came > 50, lost]).toEqual([true, true, 0])
    expect(failuresAmong(outcomes)).toEqual({})
  }, 180_000)

  it('without preStop requests are lost: what it is for', async () => {
    const {
      result: { code },
      came,
      lost,
    } = await withNewcomers(replace(topology.nodes[1]!, 0))
    report('no preStop', { came, lost })
    expect([code, lost > 0]).toEqual([0, true])
  }, 180_000)
})
