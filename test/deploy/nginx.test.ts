import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startNginx } from '../support/nginx.js'
import type { Proxy } from '../support/proxy-process.js'
import { startUpstream, type Upstream } from '../support/upstream.js'
import { describeGatewayBehind } from './behind-a-proxy.js'

describeGatewayBehind('nginx', (nodes) => startNginx('gateway.conf', { nodes }))

// What the gateway serves beside the services that nginx asks it about; the demo's prefix is left to it here.
describeGatewayBehind('nginx, where it only asks about others', (nodes) =>
  startNginx('auth-request.conf', {
    nodes,
    replacements: { 'location ~ ^/api/crm(?:/|\\z) {': 'location /elsewhere {' },
  }),
)

describe('nginx itself', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let proxy: Proxy
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes:
        `{ upstreams: { own: { targets: ['${upstream.url}'] } }, routes: { ` +
        '/open: { upstream: own, auth: public } } }',
      environment: { TRUST_PROXY: '1' },
    })
    proxy = await startNginx('gateway.conf', { nodes: [gateway.url] })
  })
  afterAll(async () => {
    await proxy.stop()
    await gateway.stop()
    await upstream.stop()
  })

  it('makes the id of a request that has none, so that it is in all logs', async () => {
    const answer = await sendRequest(proxy.url, '/open/x', { headers: { 'X-Request-Id': 'not well-formed' } })
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/)
    expect(upstream.last().headers['x-request-id']).toBe(answer.headers['x-request-id'])
  })

  it('is not steered by a service', async () => {
    upstream.answerWith((_req, res) =>
      res.writeHead(200, { 'X-Accel-Redirect': '/healthz', Location: 'http://gateway/x' }).end('mine'),
    )
    const answer = await sendRequest(proxy.url, '/open/x')
    expect(answer.text).toBe('mine')
    expect(answer.headers).toMatchObject({ server: 'nginx', location: 'http://gateway/x' })
  })
})
