import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, it } from '@jest/globals'
import { GatewayError } from '../../src/errors.js'
import { createLog } from '../../src/observability/logger.js'
import { RouteTableError, parseRouteTable } from '../../src/proxy/route-table.js'
import { openUpstreams, type Upstreams } from '../../src/proxy/upstreams.js'
import { until } from '../support/until.js'

/** So many in a row open a circuit. */
const failures = 10
const upstreamsOf = (upstream: string) =>
  parseRouteTable(`upstreams:\n  own: ${upstream}\nroutes: {}\n`, 'routes.yaml').upstreams

describe('the health check of an upstream', () => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    await Promise.all(ends.splice(0).map((end) => end()))
  })

  /** A server that is asked how it is, and can be stopped and started again on its port. */
  async function startChecked(first: RequestListener = (_req, res) => res.end()) {
    let answer = first
    let server: Server
    const asked: string[] = []
    const start = async (port: number) => {
      server = createServer((req, res) => {
        asked.push(`${req.method ?? ''} ${req.url ?? ''}`)
        answer(req, res)
      }).listen(port, '127.0.0.1')
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    }
    const stop = async () => {
      server.closeAllConnections()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    }
    const port = await start(0)
    ends.push(stop)
    return {
      url: `http://127.0.0.1:${port}`,
      asked,
      answerWith: (next: RequestListener) => {
        answer = next
      },
      stop,
      startAgain: () => start(port),
    }
  }

  function open(targets: string[], health = '{ path: /healthz, intervalMs: 20 }') {
    const lines: string[] = []
    const { logger } = createLog(
      { LOG_LEVEL: 'debug', LOG_FORMAT: 'json' },
      { write: (line) => lines.push(line), flush: () => undefined },
    )
    const upstreams = openUpstreams(
      upstreamsOf(`{ targets: ${JSON.stringify(targets)}, health: ${health} }`),
      { demoUrl: undefined, logger },
    )
    ends.push(() => upstreams.close())
    const healthy = () => upstreams.status()[0]!.targets.map((target) => target.healthy)
    return {
      upstreams,
      lines,
      healthy,
      untilHealthy: (...expected: boolean[]) =>
        until(() => Promise.resolve(healthy().join() === expected.join() || undefined)),
    }
  }

  const refusalOf = (upstreams: Upstreams) => {
    try {
      upstreams.next('own')
      return undefined
    } catch (error) {
      return error instanceof GatewayError ? [error.code, error.headers?.['Retry-After']] : error
    }
  }
  const taken = (upstreams: Upstreams) =>
    new Set(Array.from({ length: 6 }, () => `http://${upstreams.next('own').address}`))

  it('asks for its path with GET, and a target that answers 2xx or 3xx stays in use', async () => {
    const checked = await startChecked()
    const { healthy } = open([checked.url], '{ path: "/healthz?deep=1", intervalMs: 10 }')
    expect(healthy()).toEqual([true])
    for (const status of [200, 204, 302, 399]) {
      checked.answerWith((_req, res) => res.writeHead(status, { Location: '/elsewhere' }).end())
      const before = checked.asked.length
      await until(() => Promise.resolve(checked.asked.length > before + 3 || undefined))
      expect([status, healthy()]).toEqual([status, [true]])
    }
    expect(new Set(checked.asked)).toEqual(new Set(['GET /healthz?deep=1']))
  })

  it.each([400, 404, 500, 503])(
    'passes over a target that answers %i, until it answers well again',
    async (status) => {
      const [good, bad] = [await startChecked(), await startChecked()]
      const { upstreams, untilHealthy } = open([good.url, bad.url])
      expect(taken(upstreams)).toEqual(new Set([good.url, bad.url]))
      bad.answerWith((_req, res) => res.writeHead(status).end())
      await untilHealthy(true, false)
      expect(taken(upstreams)).toEqual(new Set([good.url]))
      bad.answerWith((_req, res) => res.end())
      await untilHealthy(true, true)
      expect(taken(upstreams)).toEqual(new Set([good.url, bad.url]))
    },
  )

  it('passes over a target that hangs, and never has two checks under way', async () => {
    let [running, most] = [0, 0]
    const hanging = await startChecked((_req, res) => {
      running += 1
      most = Math.max(most, running)
      res.on('close', () => {
        running -= 1
      })
    })
    const { untilHealthy } = open(
      [hanging.url],
      '{ path: /healthz, intervalMs: 20, timeoutMs: 100, unhealthyAfter: 4 }',
    )
    await untilHealthy(false)
    expect(hanging.asked.length).toBeGreaterThanOrEqual(4)
    expect(most).toBe(1)
    hanging.answerWith((_req, res) => res.end())
    await untilHealthy(true)
  })

  it('judges an answer by its head: a body that never ends is no fault', async () => {
    const endless = await startChecked((_req, res) => {
      res.write('on and on')
    })
    const { healthy } = open([endless.url])
    await until(() => Promise.resolve(endless.asked.length > 5 || undefined))
    expect(healthy()).toEqual([true])
  })

  it('passes over a target that refuses connections, until it is back', async () => {
    const checked = await startChecked()
    const { upstreams, untilHealthy, healthy } = open([checked.url])
    await until(() => Promise.resolve(checked.asked.length > 0 || undefined))
    await checked.stop()
    await untilHealthy(false)
    expect(refusalOf(upstreams)).toEqual(['upstream_unavailable', '1'])
    await checked.startAgain()
    await untilHealthy(true)
    expect([refusalOf(upstreams), healthy()]).toEqual([undefined, [true]])
  })

  it('counts only consecutive results', async () => {
    let count = 0
    const shaky = await startChecked((_req, res) => {
      count += 1
      res.writeHead(count % 3 === 0 ? 200 : 500).end()
    })
    const { healthy, untilHealthy } = open(
      [shaky.url],
      '{ path: /healthz, intervalMs: 5, unhealthyAfter: 3, healthyAfter: 2 }',
    )
    await until(() => Promise.resolve(shaky.asked.length > 12 || undefined))
    expect(healthy()).toEqual([true])
    shaky.answerWith((_req, res) => res.writeHead(500).end())
    await untilHealthy(false)
    count = 0
    shaky.answerWith((_req, res) => {
      count += 1
      res.writeHead(count % 2 === 0 ? 200 : 500).end()
    })
    const before = shaky.asked.length
    await until(() => Promise.resolve(shaky.asked.length > before + 12 || undefined))
    expect(healthy()).toEqual([false])
    shaky.answerWith((_req, res) => {
      count += 1
      res.writeHead(count % 3 === 0 ? 500 : 200).end()
    })
    await untilHealthy(true)
  })

  it('closes the circuit of a target that is back', async () => {
    const checked = await startChecked((_req, res) => res.writeHead(500).end())
    const { upstreams, untilHealthy } = open([checked.url])
    const target = upstreams.next('own')
    for (let time = 0; time < failures; time += 1) target.begin()
    for (let time = 0; time < failures; time += 1) target.end('failed')
    const state = () => upstreams.status()[0]!.targets[0]!.state
    expect(state()).toBe('open')
    await untilHealthy(false)
    checked.answerWith((_req, res) => res.end())
    await untilHealthy(true)
    expect([state(), refusalOf(upstreams)]).toEqual(['closed', undefined])
  })

  it('needs no place among the requests of its target', async () => {
    const checked = await startChecked()
    const { upstreams, healthy } = open([checked.url])
    const target = upstreams.next('own')
    for (let time = 0; time < 512; time += 1) target.begin()
    await until(() => Promise.resolve(checked.asked.length > 3 || undefined))
    expect([refusalOf(upstreams), healthy()]).toEqual([['overloaded', undefined], [true]])
    expect(upstreams.status()[0]!.targets[0]!.running).toBe(512)
  })

  it('logs each change once, with upstream and address and nothing more', async () => {
    const checked = await startChecked((_req, res) => res.writeHead(500).end())
    const { lines, untilHealthy } = open([checked.url])
    await untilHealthy(false)
    const before = checked.asked.length
    await until(() => Promise.resolve(checked.asked.length > before + 3 || undefined))
    checked.answerWith((_req, res) => res.end())
    await untilHealthy(true)
    await turn()
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(told.map(({ level }) => level)).toEqual(['warn', 'info'])
    for (const line of told)
      expect(line).toEqual({
        level: line.level,
        message: line.message,
        timestamp: line.timestamp,
        upstream: 'own',
        address: new URL(checked.url).host,
      })
  })

  describe.each(['retire', 'close'] as const)('ends with the %s of the upstreams', (way) => {
    it('for good', async () => {
      const checked = await startChecked()
      const { upstreams } = open([checked.url], '{ path: /healthz, intervalMs: 1 }')
      await until(() => Promise.resolve(checked.asked.length > 3 || undefined))
      await upstreams[way]()
      await wait(20) // one may have been on its way
      const before = checked.asked.length
      await wait(100) // many intervals
      expect(checked.asked.length).toBe(before)
    })

    it('also before the first', async () => {
      const checked = await startChecked()
      // the first within 20 ms
      const { upstreams } = open([checked.url], '{ path: /healthz, intervalMs: 100 }')
      await upstreams[way]()
      await wait(100)
      expect(checked.asked).toEqual([])
    })

    it('also in the middle of one, which is cut and no change', async () => {
      let isCut = false
      const hanging = await startChecked((_req, res) =>
        res.on('close', () => {
          isCut = true
        }),
      )
      const { upstreams, lines } = open(
        [hanging.url],
        '{ path: /healthz, intervalMs: 1, timeoutMs: 60000, unhealthyAfter: 1 }',
      )
      await until(() => Promise.resolve(hanging.asked.length > 0 || undefined))
      await upstreams[way]()
      await until(() => Promise.resolve(isCut || undefined))
      await wait(20)
      expect([hanging.asked.length, lines]).toEqual([1, []])
    })
  })

  it('keeps no process from ending', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const checked = await startChecked()
    const before = timers()
    open([checked.url], '{ path: /healthz, intervalMs: 5000 }')
    expect(timers()).toBe(before)
    await until(() => Promise.resolve(checked.asked.length > 0 || undefined))
    await until(() => Promise.resolve(timers() === before || undefined), 1000)
  })
})

describe('the health field of an upstream', () => {
  it('may be a path alone, which stands for all the defaults', () => {
    const usual = { path: '/healthz', intervalMs: 5000, timeoutMs: 2000, unhealthyAfter: 2, healthyAfter: 1 }
    for (const health of ['/healthz', '{ path: /healthz }'])
      expect(upstreamsOf(`{ targets: [demo], health: ${health} }`).own?.health).toEqual(usual)
    expect(
      upstreamsOf('{ targets: [demo], health: { path: /up, intervalMs: 100, unhealthyAfter: 5 } }').own
        ?.health,
    ).toEqual({ ...usual, path: '/up', intervalMs: 100, unhealthyAfter: 5 })
    expect(upstreamsOf('{ targets: [demo] }').own).not.toHaveProperty('health')
  })

  it.each([
    'healthz',
    '""',
    '"/health z"',
    '"/health#z"',
    '"/häalth"',
    '"/health\\r\\nX-Evil: 1"',
    '5',
    '[]',
    '{}',
    '{ path: /up, intervalMs: 0 }',
    '{ path: /up, every: 5 }',
    '{ path: /up, unhealthyAfter: 0 }',
    '{ path: /up, healthyAfter: 1.5 }',
  ])('is refused as %s, with file and line', (health) => {
    const read = () => upstreamsOf(`{ targets: [demo], health: ${health} }`)
    expect(read).toThrow(RouteTableError)
    expect(read).toThrow(/routes\.yaml:2: upstreams › own › health/)
  })

  it('stands beside timeouts that each have a default', () => {
    expect(upstreamsOf('{ targets: [demo] }').own?.timeouts).toEqual({
      connectMs: 2000,
      headersMs: 30_000,
      bodyMs: 60_000,
      idleMs: 300_000,
      keepAliveMs: 4000,
      connectionMs: 60_000,
    })
    expect(
      upstreamsOf('{ targets: [demo], timeouts: { idleMs: 10, keepAliveMs: 20 } }').own?.timeouts,
    ).toMatchObject({ headersMs: 30_000, idleMs: 10, keepAliveMs: 20 })
  })
})
