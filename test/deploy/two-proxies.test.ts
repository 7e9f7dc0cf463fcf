import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startHaproxy } from '../support/haproxy.js'
import { startNginx } from '../support/nginx.js'
import type { Proxy } from '../support/proxy-process.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/**
 * What nginx says of a request when another proxy stands in front of it, as the comment in its file has it.
 */
const behindAnother = {
  'X-Forwarded-For $remote_addr;': 'X-Forwarded-For $proxy_add_x_forwarded_for;',
  'X-Forwarded-Proto $scheme;': 'X-Forwarded-Proto $http_x_forwarded_proto;',
  'X-Forwarded-Host $http_host;': 'X-Forwarded-Host $http_x_forwarded_host;',
}

describe('haproxy in front of nginx in front of the gateway', () => {
  let upstream: Upstream
  let gateway: TestGateway
  let inner: Proxy
  let outer: Proxy
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams: { own: { targets: ['${upstream.url}'] } }
routes: { /open: { upstream: own, auth: public } }
`,
      environment: { TRUST_PROXY: '2', RATE_LIMIT_ADDRESS: '20/600s' },
    })
    inner = await startNginx('gateway.conf', { nodes: [gateway.url], replacements: behindAnother })
    outer = await startHaproxy({ nodes: [inner.url] })
  })
  afterAll(async () => {
    await outer.stop()
    await inner.stop()
    await gateway.stop()
    await upstream.stop()
  })

  it('the client’s address and scheme are those that the outer one has seen', async () => {
    await sendRequest(outer.url, '/open/x', {
      from: '127.0.0.7',
      headers: {
        'X-Forwarded-For': '6.6.6.6, 7.7.7.7',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Host': 'evil.example',
      },
    })
    expect(upstream.last().headers).toMatchObject({
      'x-forwarded-for': '127.0.0.7, 127.0.0.1, 127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': new URL(outer.url).host,
    })
  })

  it('limits count that address', async () => {
    const statuses: number[] = []
    for (let call = 0; call < 22; call += 1)
      statuses.push(
        (
          await sendRequest(outer.url, '/auth/me', {
            from: '127.0.0.51',
            headers: { 'X-Forwarded-For': `127.0.1.${call}` },
          })
        ).status,
      )
    expect(statuses.slice(19)).toEqual([401, 429, 429])
    expect((await sendRequest(outer.url, '/auth/me', { from: '127.0.0.52' })).status).toBe(401)
  })
})
