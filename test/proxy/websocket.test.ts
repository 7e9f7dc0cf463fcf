import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { WebSocket } from 'ws'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'

/** What became of an attempt to open a WebSocket. */
async function open(url: string, headers: Record<string, string>, protocols: string[] = []): Promise<{ socket: WebSocket; status: number }> {
  const socket = new WebSocket(url.replace('http', 'ws'), protocols, { headers })
  socket.on('error', () => undefined)
  const status = await Promise.race([
    once(socket, 'open').then(() => 101),
    once(socket, 'unexpected-response').then(([, res]) => {
      res.resume()
      return res.statusCode as number
    }),
  ])
  return { socket, status }
}

describe('a WebSocket', () => {
  let gateway: TestGateway
  let token: string
  beforeAll(async () => {
    gateway = await startTestGateway({ demoUpstream: true, environment: { COHERENCE_LEASE_MS: '5000' } })
    ;({ token } = await tokenFor(gateway.database, 'alice'))
  })
  afterAll(() => gateway.stop())

  const at = (path = '/api/crm/ws') => gateway.url + path
  const asAlice = () => ({ Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme })

  it('is joined to the upstream for whoever may read there', async () => {
    const { socket, status } = await open(at(), asAlice())
    expect(status).toBe(101)
    socket.send('hello')
    const [data, isBinary] = await once(socket, 'message')
    expect([String(data), isBinary]).toEqual(['hello', false])
    const big = Buffer.alloc(300_000, 'x')
    socket.send(big)
    const [echo] = await once(socket, 'message')
    expect(big.equals(echo as Buffer)).toBe(true)
    socket.close(1000)
    const [code] = await once(socket, 'close')
    expect(code).toBe(1000)
  })

  it('is refused like any other request', async () => {
    expect((await open(at(), {})).status).toBe(401)
    expect((await open(at(), { Authorization: `Bearer ${token}` })).status).toBe(400)
    expect((await open(at(), { ...asAlice(), 'X-Mandate-Id': mandates.initech })).status).toBe(403)
    expect((await open(at('/nowhere'), asAlice())).status).toBe(404)
  })

  it('ends with 4401 before the revocation of its token answers', async () => {
    const { token: own, jti } = await tokenFor(gateway.database, 'alice')
    const { token: root } = await tokenFor(gateway.database, 'root')
    const { socket } = await open(at(), { ...asAlice(), Authorization: `Bearer ${own}` })
    const closed = once(socket, 'close')
    const answer = await fetch(`${gateway.url}/system/tokens/${jti}`, { method: 'DELETE', headers: { Authorization: `Bearer ${root}` } })
    expect(answer.status).toBe(200)
    const [code, reason] = await closed
    expect([code, String(reason)]).toEqual([4401, 'token_invalid'])
  })
})
