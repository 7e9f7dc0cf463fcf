import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startHaproxy } from '../support/haproxy.js'
import type { Proxy } from '../support/proxy-process.js'
import { withoutTable } from '../support/tables.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { describeGatewayBehind } from './behind-a-proxy.js'

describeGatewayBehind('haproxy', (nodes) => startHaproxy({ nodes }))

describe('readiness behind haproxy', () => {
  let databases: TestDatabase[]
  let upstream: Upstream
  let nodes: TestGateway[]
  let proxy: Proxy
  beforeAll(async () => {
    upstream = await startUpstream()
    databases = [await createTestDatabase(), await createTestDatabase()]
    const routes = `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes: { /open: { upstream: own, auth: public }, /own: { upstream: own } }
`
    nodes = await Promise.all(
      databases.map((database) => startTestGateway({ database, routes, environment: { TRUST_PROXY: '1' } })),
    )
    proxy = await startHaproxy({ nodes: nodes.map(({ url }) => url) })
  })
  afterAll(async () => {
    await proxy.stop()
    await Promise.all(nodes.map((node) => node.stop()))
    await upstream.stop()
    await Promise.all(databases.map((database) => database.drop()))
  })

  const served = (node: TestGateway) => node.logLines.filter((line) => line.includes('"/open"')).length

  /** The nodes that answer some requests one after the other. */
  async function inService(): Promise<number[]> {
    const before = nodes.map(served)
    for (let call = 0; call < 6; call += 1) expect((await sendRequest(proxy.url, '/open/x')).status).toBe(200)
    return nodes.flatMap((node, index) => (served(node) > before[index]! ? [index] : []))
  }
  const becomes = (expected: number[]) =>
    until(async () => JSON.stringify(await inService()) === JSON.stringify(expected) || undefined, 10_000)

  it('a node that is not ready gets no requests until it is', async () => {
    await becomes([0, 1])
    await withoutTable(databases[1]!, 'tokens', () => becomes([0]))
    await becomes([0, 1])
  })

  it('when none is ready, the gateway still says so in its own words', async () => {
    const { token } = await tokenFor(databases[0]!, 'alice')
    const headers = { Authorization: `Bearer ${token}` }
    await withoutTable(databases[0]!, 'tokens', () =>
      withoutTable(databases[1]!, 'tokens', async () => {
        await until(
          () =>
            Promise.resolve(proxy.output().includes('backend gateway has no server available') || undefined),
          10_000,
        )
        const answer = await sendRequest(proxy.url, '/own/x', { headers })
        expect(answer.status).toBe(503)
        expect(JSON.parse(answer.text)).toMatchObject({ code: 'authentication_unavailable' })
        expect((await sendRequest(proxy.url, '/open/x')).status).toBe(200)
      }),
    )
  })
})
