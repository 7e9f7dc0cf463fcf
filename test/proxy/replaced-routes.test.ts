import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { GatewayError } from '../../src/errors.js'
import type { Middleware } from '../../src/http/endpoint/chain.js'
import { openCounts } from '../../src/http/limits/counts.js'
import { identifyRequest } from '../../src/gateway/identify-request.js'
import { createLogger } from 'winston'
import { createStreams } from '../../src/coherence/streams.js'
import { forwardByTable } from '../../src/proxy/forward-by-table.js'
import { liveRoutes, type LiveRoutes } from '../../src/proxy/live-routes.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

describe('a route table that takes the place of another', () => {
  let upstream: Upstream
  let routes: LiveRoutes
  let server: Server
  let url: string
  const streams = createStreams({ holdsLease: () => true })
  const tables = () =>
    parseRouteTable(
      `{ upstreams: { own: { targets: ['${upstream.url}'] } }, routes: { /public: { upstream: own, auth: public } } }`,
      'routes.yaml',
    )

  beforeAll(async () => {
    upstream = await startUpstream()
    routes = liveRoutes(tables(), { demoUrl: undefined, logger: createLogger({ silent: true }) })
    const app = express()
    /** As authentication may: answers some turns of the event loop after the route was matched. */
    const slowly: Middleware = async (_req, _res, next) => {
      for (let turns = 0; turns < 5; turns += 1) await turn()
      next()
    }
    app.use(identifyRequest({ trustProxy: 0, isDraining: () => false, isHttps: false }))
    app.use((req, _res, next) => {
      req.state.settlePath(req.path, '')
      next()
    })
    app.use(
      forwardByTable({
        routes,
        admit: () => ({ steps: [slowly] }),
        streams,
        identityFor: () => '',
        counts: openCounts({ logger: createLogger({ silent: true }) }),
        trustProxy: 0,
      }),
    )
    app.use(((error: unknown, _req, res, _next) => {
      res.status(500).end(error instanceof GatewayError ? error.code : String(error))
    }) as express.ErrorRequestHandler)
    server = createServer(app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/public`
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await routes.close()
    await upstream.stop()
  })

  it('fails no request, neither one under way nor one that was matched just before', async () => {
    let isOver = false
    const outcomes = new Map<string, number>()
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const response = await fetch(url, { method: 'POST', body: 'body' })
        const outcome = response.status === 200 ? '200' : `${response.status} ${await response.text()}`
        if (response.status === 200) await response.text()
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    })
    for (let replaced = 0; replaced < 30; replaced += 1) {
      const before = outcomes.get('200') ?? 0
      routes.replace(tables())
      while ((outcomes.get('200') ?? 0) < before + 8 && outcomes.size < 2) await turn()
    }
    isOver = true
    await Promise.all(clients)
    expect([...outcomes.keys()]).toEqual(['200'])
    expect(outcomes.get('200')).toBeGreaterThan(200)
  })

  it('leaves a long answer that began under the old one to its end', async () => {
    let finish: () => void = () => undefined
    const begun = new Promise<void>((resolve) =>
      upstream.answerWith((_req, res) => {
        res.write('one ')
        finish = () => {
          res.end('two')
        }
        resolve()
      }),
    )
    const response = fetch(url)
    await begun
    upstream.answerWith(undefined)
    routes.replace(tables())
    expect((await fetch(url)).status).toBe(200)
    finish()
    expect(await (await response).text()).toBe('one two')
  })
})
