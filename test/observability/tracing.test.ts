import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { sendRequest } from '../support/http-client.js'
import { mandates, tokenFor } from '../support/demo.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  attributes: { key: string; value: Record<string, unknown> }[]
  status: { code?: number }
  resource: Record<string, unknown>
}

/** A real receiver of OTLP over HTTP. */
interface Receiver {
  url: string
  bodies: { path: string; type: string; text: string }[]
  spans: () => Span[]
  server: Server
}

async function startReceiver(): Promise<Receiver> {
  const bodies: Receiver['bodies'] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      bodies.push({
        path: req.url ?? '',
        type: req.headers['content-type'] ?? '',
        text: Buffer.concat(chunks).toString('latin1'),
      })
      res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const plain = (attributes: Span['attributes']) =>
    Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    server,
    spans: () =>
      bodies
        .flatMap(
          ({ text }) =>
            (
              JSON.parse(text) as {
                resourceSpans: { resource: Pick<Span, 'attributes'>; scopeSpans: { spans: Span[] }[] }[]
              }
            ).resourceSpans,
        )
        .flatMap(({ resource, scopeSpans }) =>
          scopeSpans.flatMap(({ spans }) =>
            spans.map((span) => ({ ...span, resource: plain(resource.attributes) })),
          ),
        ),
  }
}

const attributesOf = ({ attributes }: Span) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
const [server, client] = [2, 3]
const traceId = '0af7651916cd43dd8448eb211c80319c'
const callers = `00-${traceId}-b7ad6b7169203331-01`

describe('traces', () => {
  let receiver: Receiver
  let upstream: Upstream
  let gateway: TestGateway
  let token: string
  let headers: Record<string, string>
  const routes = () => `
upstreams: { service: { targets: ["${upstream.url}"] }, nobody: { targets: ["http://127.0.0.1:9"] } }
routes:
  /api: { upstream: service, mandate: required }
  /dead: { upstream: nobody, mandate: none }
`
  beforeAll(async () => {
    receiver = await startReceiver()
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: routes(),
      environment: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' },
    })
    token = (await tokenFor(gateway.database, 'alice')).token
    headers = { Authorization: `Bearer ${token}`, 'X-Mandate-Id': mandates.acme }
  })
  afterAll(async () => {
    await upstream.stop()
    receiver.server.closeAllConnections()
    receiver.server.close()
  })

  it('go on from the caller to the service, with a span of each request and of its way onward', async () => {
    await sendRequest(gateway.url, '/api/things?secret=in-the-query', {
      headers: { ...headers, traceparent: callers, tracestate: 'vendor=1', 'X-Request-Id': 'traced' },
    })
    const sent = upstream.last()
    await sendRequest(gateway.url, '/api/things', {
      headers: { ...headers, 'X-Mandate-Id': mandates.initech },
    })
    await sendRequest(gateway.url, '/dead', { headers })
    await sendRequest(gateway.url, '/nothing-here')
    await gateway.stop() // sends what waits
    const spans = receiver.spans()
    const of = (kind: number, name: string) => spans.find((span) => span.kind === kind && span.name === name)!

    const request = of(server, 'GET /api')
    expect(request).toMatchObject({
      traceId,
      parentSpanId: 'b7ad6b7169203331',
      resource: { 'service.name': 'mandate-gateway' },
    })
    expect(attributesOf(request)).toMatchObject({
      'http.request.method': 'GET',
      'http.route': '/api',
      'gateway.mandate_id': mandates.acme,
      'gateway.request_id': 'traced',
    })
    expect(Number(attributesOf(request)['http.response.status_code'])).toBe(200)
    const onward = of(client, 'GET service')
    expect(onward).toMatchObject({ traceId, parentSpanId: request.spanId })
    expect(sent.headers.traceparent).toBe(`00-${traceId}-${onward.spanId}-01`)
    expect(sent.headers.tracestate).toBe('vendor=1')

    const refused = spans.find((span) => attributesOf(span)['error.type'] === 'mandate_disabled')!
    expect(refused).toMatchObject({ name: 'GET /api', kind: server })
    expect(spans.filter(({ parentSpanId }) => parentSpanId === refused.spanId)).toEqual([])
    expect(of(server, 'GET /dead')).toMatchObject({ status: { code: 2 } })
    expect(of(client, 'GET nobody')).toMatchObject({ status: { code: 2 } })
    expect(attributesOf(of(server, 'GET'))).toMatchObject({ 'error.type': 'not_found' })

    const everything = receiver.bodies.map(({ text }) => text).join()
    expect(receiver.bodies.map(({ path }) => path)).toContain('/v1/traces')
    for (const secret of [token, 'in-the-query', '/things', 'nothing-here', 'alice'])
      expect(everything).not.toContain(secret)
  })

  it('are sent as protobuf unless another protocol is named, and a sampler is asked', async () => {
    receiver.bodies.length = 0
    for (const [sampler, isSampled] of [
      ['always_on', true],
      ['always_off', false],
    ] as const) {
      const other = await startTestGateway({
        routes: routes(),
        environment: {
          OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/own`,
          OTEL_TRACES_SAMPLER: sampler,
        },
      })
      const { token: own } = await tokenFor(other.database, 'alice')
      await sendRequest(other.url, '/api/x', { headers: { ...headers, Authorization: `Bearer ${own}` } })
      expect(upstream.last().headers.traceparent).toMatch(isSampled ? /-01$/ : /-00$/)
      await other.stop()
      expect(receiver.bodies.map(({ path, type }) => [path, type])).toEqual([
        ['/own', 'application/x-protobuf'],
      ])
      expect(receiver.bodies[0]?.text).toContain('GET /api')
    }
  })

  it('never fail or delay a request when nobody takes them', async () => {
    const lost = await startTestGateway({
      environment: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_TRACES_EXPORTER: 'otlp' },
    })
    expect((await sendRequest(lost.url, '/healthz')).status).toBe(200)
    await lost.stop()
  })
})

describe('without an exporter', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `
upstreams: { service: { targets: ["${upstream.url}"] } }
routes: { /open: { upstream: service, auth: public } }`,
      environment: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_TRACES_EXPORTER: 'none' },
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })
  const sentOn = async (headers: Record<string, string | string[]>) => {
    await sendRequest(gateway.url, '/open', { headers })
    const { traceparent, tracestate } = upstream.last().headers
    return { traceparent, tracestate }
  }
  const fresh = expect.stringMatching(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/)

  it('the caller’s trace context is passed on as it is, with its state', async () => {
    expect(await sentOn({ traceparent: callers, tracestate: 'a=1,b=2' })).toEqual({
      traceparent: callers,
      tracestate: 'a=1,b=2',
    })
    expect(await sentOn({ traceparent: callers })).toEqual({ traceparent: callers, tracestate: undefined })
    expect(await sentOn({ traceparent: `01-${callers.slice(3)}-more` })).toEqual({
      traceparent: callers,
      tracestate: undefined,
    })
  })

  it('one is made if none is readable, and a tracestate without its traceparent is not passed on', async () => {
    expect(await sentOn({})).toEqual({ traceparent: fresh, tracestate: undefined })
    for (const traceparent of [
      'nonsense',
      `ff-${callers.slice(3)}`,
      `${callers}-more`,
      callers.toUpperCase(),
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `00-${traceId}-${'0'.repeat(16)}-01`,
    ]) {
      expect([traceparent, await sentOn({ traceparent, tracestate: 'a=1' })]).toEqual([
        traceparent,
        { traceparent: fresh, tracestate: undefined },
      ])
    }
    expect(await sentOn({ traceparent: [callers, callers], tracestate: 'a=1' })).toEqual({
      traceparent: fresh,
      tracestate: undefined,
    })
  })
})
