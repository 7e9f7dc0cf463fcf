import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startNginx } from '../support/nginx.js'
import type { Proxy } from '../support/proxy-process.js'
import { sendLines, sendRaw } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

const routesTo = (service: string) =>
  `{ upstreams: { crm: { targets: ['${service}'] } }, routes: { /api/crm: { upstream: crm, auth: public } } }`

describe('nginx in front of the gateway', () => {
  let service: Upstream
  let gateway: TestGateway
  let asking: Proxy
  let forwarding: Proxy
  beforeAll(async () => {
    service = await startUpstream()
    gateway = await startTestGateway({ routes: routesTo(service.url), environment: { TRUST_PROXY: '1' } })
    asking = await startNginx('auth-request.conf', { nodes: [gateway.url], service: service.url })
    forwarding = await startNginx('gateway.conf', { nodes: [gateway.url] })
  })
  afterAll(async () => {
    await asking.stop()
    await forwarding.stop()
    await gateway.stop()
    await service.stop()
  })

  it.each([
    ['a control character', ['X: a\x01b']],
    ['more than 200 header lines', Array.from({ length: 201 }, (_, index) => `X-${index}: 1`)],
  ])('that asks says 400 or 403 of what the gateway cannot read, never 503: %s', async (_, lines) => {
    const before = service.received.length
    expect([400, 403, 417]).toContain((await sendLines(asking.url, 'GET /api/crm/x', lines)).status)
    expect(service.received).toHaveLength(before)
  })

  it('serves HTTP/1.0 without a Host, as the gateway does by itself', async () => {
    for (const { url } of [gateway, forwarding, asking]) {
      expect((await sendRaw(url, 'GET /api/crm/x HTTP/1.0\r\n\r\n')).status).toBe(200)
    }
  })
})
