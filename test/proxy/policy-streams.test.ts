import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mandates } from '../support/demo.js'
import { setPolicy, provenToken } from '../support/proven.js'
import { startTwoNodes, type TwoNodes } from '../support/two-nodes.js'
import { eventually } from '../support/within.js'
import {
  opcodes,
  openRawWebSocket,
  startSocketUpstream,
  type SocketUpstream,
} from '../support/web-sockets.js'

describe('an open WebSocket in a mandate with a policy', () => {
  let nodes: TwoNodes
  let upstream: SocketUpstream
  beforeAll(async () => {
    upstream = await startSocketUpstream()
    nodes = await startTwoNodes(`
upstreams: { own: { targets: ['${upstream.url}'] } }
routes:
  /ws: { upstream: own, mandate: required, permission: { context: RESOURCE, item: crm } }
`)
  })
  afterAll(async () => {
    await nodes.stop()
    await upstream.stop()
  })

  async function join() {
    const { headers } = await provenToken(nodes.database, 'alice')
    const own = { ...headers, 'X-Mandate-Id': mandates.acme }
    const client = await openRawWebSocket(`${nodes.here.url}/ws`, own)
    expect(client.head).toMatch(/^HTTP\/1\.1 101 /)
    return { client, own }
  }
  const closed = (client: Awaited<ReturnType<typeof openRawWebSocket>>) =>
    client.frames().find(({ opcode }) => opcode === opcodes.close)

  it('is cut before the answer when the policy is tightened at another node', async () => {
    const { client, own } = await join()
    await nodes.askThere('petra', 'PATCH', `/admin/mandates/${mandates.acme}/policy`, { factor: 'mfa' })
    const next = await fetch(`${nodes.here.url}/ws`, { headers: own })
    expect(next.status).toBe(401)
    await eventually(() => closed(client) !== undefined || undefined)
    await nodes.askThere('petra', 'PATCH', `/admin/mandates/${mandates.acme}/policy`, { factor: null })
  })

  it('ends when the time that its proof has is over', async () => {
    await setPolicy(nodes.database, mandates.acme, { maxAge: 4 })
    await nodes.allHaveHeard()
    const { client } = await join()
    await eventually(() => closed(client) !== undefined || undefined, 8000)
  })
})
