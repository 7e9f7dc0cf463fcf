import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from '@jest/globals'
import { GatewayError } from '../../src/errors.js'
import { createLog } from '../../src/observability/logger.js'
import { failuresInARow } from '../../src/proxy/circuit-breaker.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'
import { openUpstreams, type Target, type Upstreams } from '../../src/proxy/upstreams.js'

const one = 'http://127.0.0.1:1'
const two = 'http://127.0.0.1:2'

describe('the circuit of a target', () => {
  let upstreams: Upstreams | undefined
  afterEach(async () => { await upstreams?.close() })

  /** Opens upstreams on a clock that stands until it is set. */
  function open(targets: Record<string, string[]>) {
    const lines: string[] = []
    const clock = { ms: 5000, asked: 0 }
    const { logger } = createLog({ LOG_LEVEL: 'debug', LOG_FORMAT: 'json' }, { write: (line) => lines.push(line), flush: () => undefined })
    const upstreamsOf = Object.entries(targets).map(([name, urls]) => `${name}: { targets: ${JSON.stringify(urls)} }`).join(', ')
    const now = () => {
      clock.asked += 1
      return clock.ms
    }
    const opened = openUpstreams(parseRouteTable(`{ upstreams: { ${upstreamsOf} }, routes: {} }`, 'routes.yaml').upstreams, { demoUrl: undefined, logger, now })
    upstreams = opened
    const stateOf = (name = 'own') => opened.status().find((upstream) => upstream.name === name)?.targets.map(({ state }) => state)
    return { clock, lines, stateOf, next: (name = 'own') => opened.next(name), status: opened.status }
  }

  function send(target: Target, outcome: Parameters<Target['end']>[0]) {
    target.begin()
    target.end(outcome)
  }
  const fail = (next: () => Target, times: number) => { for (let time = 0; time < times; time += 1) send(next(), 'failed') }

  function refusal(next: () => Target): { code: string; retryAfter: number } | undefined {
    try {
      next()
      return undefined
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      return { code: error.code, retryAfter: Number(error.headers?.['Retry-After']) }
    }
  }

  it('opens after ten failures in a row, also where there is no other target', () => {
    const { next, stateOf } = open({ own: [one] })
    fail(next, failuresInARow - 1)
    expect([refusal(next), stateOf()]).toEqual([undefined, ['closed']])
    fail(next, 1)
    expect([refusal(next), stateOf()]).toEqual([{ code: 'upstream_unavailable', retryAfter: 1 }, ['open']])
  })

  it('is not opened by failures between which the target answered, however many', () => {
    const { next } = open({ own: [one] })
    for (let round = 0; round < 20; round += 1) {
      fail(next, failuresInARow - 1)
      send(next(), 'answered')
    }
    expect(refusal(next)).toBeUndefined()
  })

  it('neither counts what was given up, nor takes it for an answer', () => {
    const { next } = open({ own: [one] })
    for (let time = 0; time < 20; time += 1) send(next(), 'cut')
    expect(refusal(next)).toBeUndefined()
    fail(next, failuresInARow - 1)
    send(next(), 'cut')
    fail(next, 1)
    expect(refusal(next)?.code).toBe('upstream_unavailable')
  })

  it('while open leaves the requests to the other targets', () => {
    const { next } = open({ own: [one, two] })
    const [failing, answering] = [next(), next()]
    for (let time = 0; time < failuresInARow; time += 1) send(failing, 'failed')
    expect(Array.from({ length: 6 }, () => next() === answering)).toEqual(Array.from({ length: 6 }, () => true))
  })

  it('is open for a second, then lets through exactly one request at a time', () => {
    const { next, clock, stateOf } = open({ own: [one] })
    fail(next, failuresInARow)
    clock.ms += 899
    expect([refusal(next), stateOf()]).toEqual([{ code: 'upstream_unavailable', retryAfter: 1 }, ['open']])
    clock.ms += 101
    const probe = next()
    probe.begin()
    expect(stateOf()).toEqual(['half-open'])
    for (let time = 0; time < failuresInARow; time += 1) expect(refusal(next)).toEqual({ code: 'upstream_unavailable', retryAfter: 1 })
    probe.end('answered')
    expect([refusal(next), stateOf()]).toEqual([undefined, ['closed']])
  })

  it('whose probe is under way leaves the other requests to the other targets', () => {
    const { next, clock } = open({ own: [one, two] })
    const [failing, answering] = [next(), next()]
    for (let time = 0; time < failuresInARow; time += 1) send(failing, 'failed')
    clock.ms += 1000
    const probe = [next(), next()].find((target) => target !== answering)!
    expect(probe.address).toBe('127.0.0.1:1')
    probe.begin()
    expect(Array.from({ length: 6 }, () => next() === answering)).toEqual(Array.from({ length: 6 }, () => true))
  })

  it('is opened again by a probe that fails, for twice as long each time, up to 30 seconds', () => {
    const { next, clock } = open({ own: [one] })
    fail(next, failuresInARow)
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      expect(refusal(next)).toEqual({ code: 'upstream_unavailable', retryAfter: expect.any(Number) })
      expect(refusal(next)!.retryAfter).toBeLessThanOrEqual(seconds)
      clock.ms += seconds * 899
      expect(refusal(next)?.code).toBe('upstream_unavailable')
      clock.ms += seconds * 101
      send(next(), 'failed')
    }
    clock.ms += 30_000
    send(next(), 'answered')
    fail(next, failuresInARow - 1)
    expect(refusal(next)).toBeUndefined()
    fail(next, 1)
    clock.ms += 1000
    expect(refusal(next)).toBeUndefined()
  })

  it('says with Retry-After when the first of the targets is tried again', () => {
    const { next, clock } = open({ own: [one, two] })
    const [first, second] = [next(), next()]
    for (let time = 0; time < failuresInARow; time += 1) send(first, 'failed')
    for (const seconds of [1, 2, 4]) { // the first one's probes fail
      clock.ms += seconds * 1000
      send([next(), next()].find((target) => target !== second)!, 'failed')
    }
    for (let time = 0; time < failuresInARow; time += 1) send(second, 'failed')
    expect(refusal(next)?.retryAfter).toBe(1)
    clock.ms += 1000
    send(next(), 'failed')
    clock.ms += 2000
    send(next(), 'failed') // and of the second one: 5 of the first one's 8 seconds are left at most, of the second one's 4
    expect(refusal(next)?.retryAfter).toBeGreaterThanOrEqual(4)
    expect(refusal(next)?.retryAfter).toBeLessThanOrEqual(5)
  })

  it('lets the next request be the probe when one was given up', () => {
    const { next, clock, stateOf } = open({ own: [one] })
    fail(next, failuresInARow)
    clock.ms += 1000
    for (let time = 0; time < 3; time += 1) {
      const probe = next()
      probe.begin()
      expect(refusal(next)?.code).toBe('upstream_unavailable')
      probe.end('cut')
      expect([refusal(next), stateOf()]).toEqual([undefined, ['half-open']])
    }
    send(next(), 'answered')
    expect(stateOf()).toEqual(['closed'])
  })

  it('is not kept by a target that was taken but never sent a request', () => {
    const { next, clock } = open({ own: [one] })
    fail(next, failuresInARow)
    clock.ms += 1000
    next()
    expect(refusal(next)).toBeUndefined()
  })

  it('lets another probe go when the first is a stream that runs longer than a failure takes', () => {
    const { next, clock } = open({ own: [one] })
    fail(next, failuresInARow)
    clock.ms += 1000
    next().begin()
    clock.ms += 31_999
    expect(refusal(next)?.code).toBe('upstream_unavailable')
    clock.ms += 1
    send(next(), 'answered')
    expect(refusal(next)).toBeUndefined()
  })

  it('is neither closed nor opened by the late ends of requests from before it opened', () => {
    const { next, clock, stateOf } = open({ own: [one] })
    const early = next()
    for (let time = 0; time < 20; time += 1) early.begin()
    for (let time = 0; time < failuresInARow; time += 1) early.end('failed')
    early.end('answered')
    clock.ms += 500
    for (let time = 0; time < 6; time += 1) early.end('failed')
    clock.ms += 500 // the second has passed, however late they came
    const probe = next()
    probe.begin()
    early.end('answered')
    for (let time = 0; time < 6; time += 1) early.end('failed')
    early.end('answered')
    expect([refusal(next)?.code, stateOf()]).toEqual(['upstream_unavailable', ['half-open']])
    probe.end('answered')
    expect(stateOf()).toEqual(['closed'])
  })

  it('is each upstream’s own, also where two of them share an address', () => {
    const { next, stateOf } = open({ own: [one], other: [one] })
    fail(next, failuresInARow)
    expect([stateOf('own'), stateOf('other')]).toEqual([['open'], ['closed']])
    expect(refusal(() => next('other'))).toBeUndefined()
  })

  it('logs each of its changes once, with upstream and address and nothing more', async () => {
    const { next, clock, lines, status } = open({ own: [one] })
    fail(next, failuresInARow)
    for (let time = 0; time < failuresInARow; time += 1) refusal(next)
    clock.ms += 1000
    for (let time = 0; time < failuresInARow; time += 1) next()
    status()
    send(next(), 'failed')
    clock.ms += 2000
    send(next(), 'answered')
    fail(next, failuresInARow - 1)
    await turn()
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(told.map(({ level }) => level)).toEqual(['warn', 'info', 'warn', 'info', 'info'])
    for (const line of told) expect(line).toEqual({ level: line.level, message: line.message, timestamp: line.timestamp, upstream: 'own', address: '127.0.0.1:1' })
    expect(new Set(told.map(({ message }) => message)).size).toBe(3)
  })

  it('never asks for the time while it is closed', () => {
    const { next, clock } = open({ own: [one, two] })
    for (const outcome of ['answered', 'failed', 'cut', 'failed', 'answered'] as const) send(next(), outcome)
    expect(clock.asked).toBe(0)
  })
})
