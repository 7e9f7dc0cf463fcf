import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createLog } from '../../src/observability/logger.js'
import { createCircuitBreaker } from '../../src/proxy/circuit-breaker.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'
import { openUpstreams, type Target, type Upstreams } from '../../src/proxy/upstreams.js'

const one = 'http://127.0.0.1:1'
const two = 'http://127.0.0.1:2'
/** So many failures open a circuit, by default. */
const failures = 10

describe('the circuit of a target', () => {
  let upstreams: Upstreams | undefined
  afterEach(async () => {
    await upstreams?.close()
  })

  /** Opens an upstream on a clock that stands until it is set. */
  function open(targets = [one, two], circuit = '{}') {
    const lines: string[] = []
    const clock = { ms: 5000, asked: 0 }
    const { logger } = createLog(
      { LOG_LEVEL: 'debug', LOG_FORMAT: 'json' },
      { write: (line) => lines.push(line), flush: () => undefined },
    )
    const now = () => {
      clock.asked += 1
      return clock.ms
    }
    const settings = parseRouteTable(
      `{ upstreams: { own: { targets: ${JSON.stringify(targets)}, circuit: ${circuit} } }, routes: {} }`,
      'routes.yaml',
    ).upstreams
    const opened = openUpstreams(settings, { demoUrl: undefined, logger, now })
    upstreams = opened
    const next = (route?: object) => opened.next('own', route)
    /** The addresses that six requests would go to. */
    const taken = (route?: object) => new Set(Array.from({ length: 6 }, () => next(route).address))
    const to = (address: string, route?: object) =>
      [next(route), next(route)].find((target) => `http://${target.address}` === address)!
    return {
      clock,
      lines,
      next,
      taken,
      to,
      states: () => opened.status()[0]!.targets.map(({ state }) => state),
    }
  }

  function send(target: Target, outcome: Parameters<Target['end']>[0], times = 1) {
    for (let time = 0; time < times; time += 1) target.begin()
    for (let time = 0; time < times; time += 1) target.end(outcome)
  }

  it('opens after ten failures, and leaves the requests to the other targets', () => {
    const { to, taken, states } = open()
    send(to(one), 'failed', failures - 1)
    expect([taken().size, states()]).toEqual([2, ['closed', 'closed']])
    send(to(one), 'failed')
    expect([taken(), states()]).toEqual([new Set(['127.0.0.1:2']), ['open', 'closed']])
  })

  it('is never opened by failures that are few among many answers, however many come together', () => {
    const { to, states } = open()
    const target = to(one)
    send(target, 'failed')
    for (let round = 0; round < 20; round += 1) {
      send(target, 'answered', 60)
      send(target, 'failed', 20)
    }
    expect(states()).toEqual(['closed', 'closed'])
  })

  it('is opened by a target of which half the requests fail', () => {
    const { to, states } = open()
    const target = to(one)
    for (let round = 0; round < failures; round += 1) {
      send(target, 'failed')
      send(target, 'answered')
    }
    expect(states()).toEqual(['open', 'closed'])
  })

  it('forgets failures that are longer ago than its window', () => {
    const { to, states, clock } = open()
    const target = to(one)
    send(target, 'failed', failures - 1)
    clock.ms += 10_000
    send(target, 'failed', failures - 1)
    expect(states()).toEqual(['closed', 'closed'])
    send(target, 'failed')
    expect(states()).toEqual(['open', 'closed'])
  })

  it('counts an abandoned request neither as a failure nor as an answer', () => {
    const { to, states } = open()
    const target = to(one)
    send(target, 'cut', 50)
    send(target, 'failed', failures - 1)
    send(target, 'cut', 50)
    expect(states()).toEqual(['closed', 'closed'])
    send(target, 'failed')
    expect(states()).toEqual(['open', 'closed'])
  })

  it('never takes the last target away: if all fail, all get requests, and an answer closes its circuit', () => {
    const { next, to, taken, states } = open()
    send(to(one), 'failed', failures)
    send(next(), 'failed', failures)
    expect([taken(), states()]).toEqual([new Set(['127.0.0.1:1', '127.0.0.1:2']), ['open', 'open']])
    send(to(two), 'answered')
    expect([taken(), states()]).toEqual([new Set(['127.0.0.1:2']), ['open', 'closed']])
  })

  it('never takes the only target away', () => {
    const { next, taken, states } = open([one])
    send(next(), 'failed', 1000)
    expect([taken(), states()]).toEqual([new Set(['127.0.0.1:1']), ['open']])
    send(next(), 'answered')
    expect(states()).toEqual(['closed'])
  })

  it('is opened by late answers for their own route only, and never where there is no other target', () => {
    const [slow, fast] = [{}, {}]
    const { to, next, taken, states } = open()
    send(to(one, slow), 'late', failures)
    expect([taken(slow), taken(fast), states()]).toEqual([
      new Set(['127.0.0.1:2']),
      new Set(['127.0.0.1:1', '127.0.0.1:2']),
      ['closed', 'closed'],
    ])
    send(next(slow), 'late', failures)
    expect(taken(slow)).toEqual(new Set(['127.0.0.1:1', '127.0.0.1:2']))
    send(to(one, slow), 'answered')
    expect(taken(slow)).toEqual(new Set(['127.0.0.1:1']))
  })

  it('of a route is tried again like any other', () => {
    const route = {}
    const { to, taken, clock } = open()
    send(to(one, route), 'late', failures)
    clock.ms += 1000
    send(to(one, route), 'late')
    clock.ms += 1000
    expect(taken(route)).toEqual(new Set(['127.0.0.1:2']))
    clock.ms += 1000
    send(to(one, route), 'answered')
    expect(taken(route).size).toBe(2)
  })

  it('of a route counts a connection that fails for the target, also while it is tried again', () => {
    const [slow, fast] = [{}, {}]
    const { to, clock, states } = open()
    send(to(one, slow), 'late', failures)
    send(to(one, fast), 'failed', failures - 1)
    expect(states()).toEqual(['closed', 'closed'])
    clock.ms += 1000
    send(to(one, slow), 'failed')
    expect(states()).toEqual(['open', 'closed'])
  })

  it('stays open while the other target is busy: the request is overloaded', () => {
    const { to, next } = open()
    send(to(one), 'failed', failures)
    const other = to(two)
    for (let count = 0; count < 512; count += 1) other.begin()
    expect(next).toThrow(expect.objectContaining({ code: 'overloaded' }))
  })

  it('is not tried again by all nodes in one moment', () => {
    const clock = { ms: 0 }
    const breakers = Array.from({ length: 100 }, () =>
      createCircuitBreaker({
        settings: { failures: 1, share: 0.5, windowMs: 10_000, openMs: 1000, longestOpenMs: 30_000 },
        now: () => clock.ms,
        probeMs: 1000,
        onChange: () => undefined,
      }),
    )
    for (const breaker of breakers) breaker.count(false)
    clock.ms = 950
    expect(new Set(breakers.map((breaker) => breaker.mayProbe()))).toEqual(new Set([true, false]))
  })

  it('is open for a second, then lets through exactly one request at a time', () => {
    const { to, taken, clock, states } = open()
    send(to(one), 'failed', failures)
    clock.ms += 899
    expect([taken().size, states()]).toEqual([1, ['open', 'closed']])
    clock.ms += 101
    const probe = to(one)
    probe.begin()
    expect([taken(), states()]).toEqual([new Set(['127.0.0.1:2']), ['half-open', 'closed']])
    probe.end('answered')
    expect([taken().size, states()]).toEqual([2, ['closed', 'closed']])
  })

  it('is opened again by a probe that fails, for twice as long each time, up to 30 seconds', () => {
    const { to, taken, clock, states } = open()
    send(to(one), 'failed', failures)
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      clock.ms += seconds * 899
      expect(taken()).toEqual(new Set(['127.0.0.1:2']))
      clock.ms += seconds * 101
      send(to(one), 'failed')
    }
    clock.ms += 30_000
    send(to(one), 'answered')
    send(to(one), 'failed', failures - 1)
    expect(states()).toEqual(['closed', 'closed'])
    send(to(one), 'failed')
    clock.ms += 1000
    expect(taken().size).toBe(2)
  })

  it('lets the next request be the probe when one was given up', () => {
    const { to, taken, clock, states } = open()
    send(to(one), 'failed', failures)
    clock.ms += 1000
    for (let time = 0; time < 3; time += 1) {
      const probe = to(one)
      probe.begin()
      expect(taken()).toEqual(new Set(['127.0.0.1:2']))
      probe.end('cut')
      expect(states()).toEqual(['half-open', 'closed'])
    }
    send(to(one), 'answered')
    expect(states()).toEqual(['closed', 'closed'])
  })

  it('is not kept by a target that was taken but never sent a request', () => {
    const { to, taken, clock } = open()
    send(to(one), 'failed', failures)
    clock.ms += 1000
    to(one)
    expect(taken().size).toBe(2)
  })

  it('lets another probe go when the first is a stream that runs longer than a failure takes', () => {
    const { to, taken, clock } = open()
    send(to(one), 'failed', failures)
    clock.ms += 1000
    to(one).begin()
    clock.ms += 31_999
    expect(taken()).toEqual(new Set(['127.0.0.1:2']))
    clock.ms += 1
    send(to(one), 'answered')
    expect(taken().size).toBe(2)
  })

  it('is neither closed nor opened by the late ends of requests from before it opened', () => {
    const { to, taken, clock, states } = open()
    const early = to(one)
    for (let time = 0; time < 30; time += 1) early.begin()
    for (let time = 0; time < failures; time += 1) early.end('failed')
    early.end('answered')
    clock.ms += 500
    for (let time = 0; time < 6; time += 1) early.end('failed')
    clock.ms += 500 // the second has passed, however late they came
    const probe = to(one)
    probe.begin()
    early.end('answered')
    for (let time = 0; time < 6; time += 1) early.end('failed')
    expect([taken(), states()]).toEqual([new Set(['127.0.0.1:2']), ['half-open', 'closed']])
    probe.end('answered')
    expect(states()).toEqual(['closed', 'closed'])
  })

  it('opens as the upstream says', () => {
    const { to, taken, clock, states } = open(
      [one, two],
      '{ failures: 2, share: 0.2, windowMs: 50, openMs: 200, longestOpenMs: 300 }',
    )
    send(to(one), 'failed')
    send(to(one), 'answered', 8)
    clock.ms += 49
    send(to(one), 'failed')
    expect(states()).toEqual(['open', 'closed'])
    for (const ms of [200, 300, 300]) {
      clock.ms += ms
      send(to(one), 'failed')
      expect(taken().size).toBe(1)
    }
  })

  it('logs each of its changes once, with upstream and address and nothing more', async () => {
    const { to, taken, clock, lines } = open()
    send(to(one), 'failed', failures)
    taken()
    clock.ms += 1000
    taken()
    send(to(one), 'failed')
    clock.ms += 2000
    send(to(one), 'answered')
    send(to(one), 'failed', failures - 1)
    await turn()
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(told.map(({ level }) => level)).toEqual(['warn', 'info', 'warn', 'info', 'info'])
    for (const line of told)
      expect(line).toEqual({
        level: line.level,
        message: line.message,
        timestamp: line.timestamp,
        upstream: 'own',
        address: '127.0.0.1:1',
      })
    expect(new Set(told.map(({ message }) => message)).size).toBe(3)
  })

  it('reads the clock only after a failed request', () => {
    const { next, clock } = open()
    for (const outcome of ['answered', 'cut', 'answered', 'cut', 'answered'] as const) send(next(), outcome)
    expect(clock.asked).toBe(0)
  })
})
