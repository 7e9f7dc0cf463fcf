import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { GatewayError } from '../../src/errors.js'
import { createLog } from '../../src/observability/logger.js'
import { parseRouteTable } from '../../src/proxy/route-table.js'
import { openUpstreams, type Target, type Upstreams } from '../../src/proxy/upstreams.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, openSocket, parseResponse, sendLines } from '../support/raw-http.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** So many in a row open a circuit. */
const failures = 10
/** Requests that one target may have at a time. */
const atATime = 512
const { logger } = createLog(
  { LOG_LEVEL: 'debug', LOG_FORMAT: 'json' },
  { write: () => undefined, flush: () => undefined },
)
const openTargets = (
  targets: string[],
  { demoUrl, timeouts = '{}' }: { demoUrl?: string; timeouts?: string } = {},
) =>
  openUpstreams(
    parseRouteTable(
      `{ upstreams: { own: { targets: ${JSON.stringify(targets)}, timeouts: ${timeouts} } }, routes: {} }`,
      'routes.yaml',
    ).upstreams,
    { demoUrl, logger },
  )

describe('the targets of an upstream', () => {
  let opened: Upstreams | undefined
  afterEach(async () => {
    await opened?.close()
  })

  function open(targets: string[], demoUrl?: string): Upstreams {
    opened = openTargets(targets, demoUrl === undefined ? {} : { demoUrl })
    return opened
  }
  const codeOfNext = (upstreams: Upstreams, name = 'own', except?: ReadonlySet<Target>) => {
    try {
      upstreams.next(name, undefined, except)
      return undefined
    } catch (error) {
      return error instanceof GatewayError ? error.code : error
    }
  }
  const fill = (target: Target) => {
    for (let count = 0; count < atATime; count += 1) target.begin()
  }

  it('one with as many requests as it may have is refused at once, until one of them has ended', () => {
    const upstreams = open(['http://127.0.0.1:1'])
    const target = upstreams.next('own')
    for (let count = 1; count < atATime; count += 1) target.begin()
    expect(codeOfNext(upstreams)).toBeUndefined()
    target.begin()
    expect(codeOfNext(upstreams)).toBe('overloaded')
    target.end('answered')
    expect(codeOfNext(upstreams)).toBeUndefined()
    target.begin()
    expect(codeOfNext(upstreams)).toBe('overloaded')
  })

  it('have so many streams as they may: one more keeps the place of a request', () => {
    opened = openUpstreams(
      parseRouteTable(
        `{ upstreams: { own: { targets: ['http://127.0.0.1:1'], limits: { streams: 1 } } }, routes: {} }`,
        'routes.yaml',
      ).upstreams,
      { demoUrl: undefined, logger },
    )
    const target = opened.next('own')
    const streams = [target, target].map((one) => {
      one.begin()
      return one.stream()
    })
    expect(streams).toEqual([true, false])
    expect(opened.status()[0]?.targets).toEqual([expect.objectContaining({ running: 1, streams: 1 })])
  })

  it('take turns, and a busy one is passed over as long as another is free', () => {
    const upstreams = open(['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3'])
    const [one, two, three] = [upstreams.next('own'), upstreams.next('own'), upstreams.next('own')]
    expect(new Set([one, two, three]).size).toBe(3)
    expect([upstreams.next('own'), upstreams.next('own'), upstreams.next('own')]).toEqual([one, two, three])
    fill(two)
    expect(
      [upstreams.next('own'), upstreams.next('own'), upstreams.next('own')].map((target) =>
        [one, two, three].indexOf(target),
      ),
    ).toEqual([0, 2, 0])
    fill(one)
    fill(three)
    expect(codeOfNext(upstreams)).toBe('overloaded')
    two.end('answered')
    expect(upstreams.next('own')).toBe(two)
  })

  it('are unavailable, not overloaded, if none runs or none is named', () => {
    expect(codeOfNext(open(['demo']))).toBe('upstream_unavailable')
    expect(codeOfNext(open(['http://127.0.0.1:1']), 'other')).toBe('upstream_unavailable')
    expect(codeOfNext(open(['demo'], 'http://127.0.0.1:1'))).toBeUndefined()
  })

  it('have equal shares, also while one of them is out of use', () => {
    const upstreams = open([
      'http://127.0.0.1:1',
      'http://127.0.0.1:2',
      'http://127.0.0.1:3',
      'http://127.0.0.1:4',
    ])
    const shares = () => {
      const counts = new Map<string, number>()
      for (let request = 0; request < 120; request += 1) {
        const target = upstreams.next('own')
        target.begin()
        target.end('answered')
        counts.set(target.address, (counts.get(target.address) ?? 0) + 1)
      }
      return [...counts].sort()
    }
    expect(shares()).toEqual([
      ['127.0.0.1:1', 30],
      ['127.0.0.1:2', 30],
      ['127.0.0.1:3', 30],
      ['127.0.0.1:4', 30],
    ])
    const failing = upstreams.next('own')
    for (let time = 0; time < failures; time += 1) failing.begin()
    for (let time = 0; time < failures; time += 1) failing.end('failed')
    expect(shares()).toEqual([
      ['127.0.0.1:2', 40],
      ['127.0.0.1:3', 40],
      ['127.0.0.1:4', 40],
    ])
  })

  it('that were tried for a request are never given to it again', () => {
    const upstreams = open(['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3'])
    const tried = new Set<Target>()
    for (let time = 0; time < 3; time += 1) {
      const target = upstreams.next('own', undefined, tried)
      expect(tried.has(target)).toBe(false)
      tried.add(target)
    }
    expect(codeOfNext(upstreams, 'own', tried)).toBe('upstream_unavailable')
    expect(codeOfNext(upstreams)).toBeUndefined()
    const [first] = tried
    for (let time = 0; time < 6; time += 1)
      expect(upstreams.next('own', undefined, new Set([first!]))).not.toBe(first)
  })

  it('are overloaded if the only one left is busy, and unavailable if none is left', () => {
    const upstreams = open(['http://127.0.0.1:1', 'http://127.0.0.1:2'])
    const [one, two] = [upstreams.next('own'), upstreams.next('own')]
    fill(one)
    expect(codeOfNext(upstreams, 'own', new Set([two]))).toBe('overloaded')
    expect(codeOfNext(upstreams, 'own', new Set([one, two]))).toBe('upstream_unavailable')
  })

  it('that failed are the same ones when they are tried again: no request gets one twice', () => {
    let ms = 0
    const { upstreams: settings } = parseRouteTable(
      '{ upstreams: { own: { targets: ["http://127.0.0.1:1"] } }, routes: {} }',
      'routes.yaml',
    )
    const upstreams = openUpstreams(settings, { demoUrl: undefined, logger, now: () => ms })
    opened = upstreams
    const target = upstreams.next('own')
    for (let time = 0; time < failures; time += 1) target.begin()
    for (let time = 0; time < failures; time += 1) target.end('failed')
    ms += 1000
    expect(codeOfNext(upstreams, 'own', new Set([target]))).toBe('upstream_unavailable')
    const probe = upstreams.next('own')
    probe.begin()
    probe.end('answered')
    expect(codeOfNext(upstreams, 'own', new Set([probe]))).toBe('upstream_unavailable')
  })

  it('are shown to operators, with their requests under way', () => {
    const upstreams = open(['http://127.0.0.1:1', 'https://example.com', 'http://[::1]:2'])
    upstreams.next('own').begin()
    expect(upstreams.status()).toEqual([
      {
        name: 'own',
        targets: [
          { address: '127.0.0.1:1', state: 'closed', healthy: true, running: 1, streams: 0 },
          { address: 'example.com:443', state: 'closed', healthy: true, running: 0, streams: 0 },
          { address: '[::1]:2', state: 'closed', healthy: true, running: 0, streams: 0 },
        ],
      },
    ])
  })

  it('are retried as often as one target may have requests under way, then once for each five requests', () => {
    const upstreams = open(['http://127.0.0.1:1', 'http://127.0.0.1:2'])
    const allowed = () => {
      let count = 0
      while (count < 2 * atATime && upstreams.mayRetry('own')) count += 1
      return count
    }
    expect([allowed(), allowed()]).toEqual([atATime, 0])
    const tried = new Set([upstreams.next('own')])
    for (let request = 0; request < 3; request += 1) upstreams.next('own')
    // earns nothing: it was sent before
    for (let retry = 0; retry < 20; retry += 1) upstreams.next('own', undefined, tried)
    expect(allowed()).toBe(0)
    upstreams.next('own', undefined, new Set())
    expect(allowed()).toBe(1)
    for (let request = 0; request < 10 * atATime; request += 1) upstreams.next('own')
    expect(allowed()).toBe(atATime)
    expect(upstreams.mayRetry('other')).toBe(false)
  })
})

describe('an upstream that answers no request', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes:
        `{ upstreams: { own: { targets: ['${upstream.url}'], limits: { requestsPerCaller: 1000 } }, ` +
        `other: { targets: ['${upstream.url}'] } }, routes: { /public: { upstream: own, auth: ` +
        'public }, /other: { upstream: other, auth: public } } }',
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('delays no other request: 503 overloaded at once, and it serves again when it answers', async () => {
    const waiting: ServerResponse[] = []
    upstream.answerWith((req, res) => {
      if (req.url === '/other') res.end('other')
      else waiting.push(res)
    })
    const pipelined = 1
    const sockets = await Promise.all(
      Array.from({ length: atATime / pipelined }, () => openSocket(gateway.url)),
    )
    const texts = sockets.map(async (socket) => {
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
      })
      socket.write(
        `GET /public HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(pipelined - 1) +
          'GET /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      )
      await once(socket, 'close')
      return text
    })
    await until(() => Promise.resolve(waiting.length === atATime || undefined), 20_000)

    const askedAt = performance.now()
    const refused = await sendLines(gateway.url, 'GET /public')
    expect([refused.status, codeOf(refused)]).toEqual([503, 'overloaded'])
    expect(Number(refused.headers['retry-after']?.[0])).toBeGreaterThan(0)
    expect(performance.now() - askedAt).toBeLessThan(2000)
    expect((await sendLines(gateway.url, 'GET /other')).body).toBe('other')
    expect((await sendLines(gateway.url, 'GET /healthz')).status).toBe(200)

    upstream.answerWith(undefined)
    for (const res of waiting) res.end('late')
    const served = (await Promise.all(texts)).flatMap((text) =>
      [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status),
    )
    expect(served).toEqual(Array.from({ length: atATime }, () => '200'))
    expect((await sendLines(gateway.url, 'GET /public')).status).toBe(200)
  })

  it('does not delay a shutdown: its requests are cut', async () => {
    const upstreams = openTargets([upstream.url])
    const begun = new Promise<ServerResponse>((resolve) => upstream.answerWith((_req, res) => resolve(res)))
    const outcome = upstreams
      .next('own')
      .pool.request({ method: 'GET', path: '/' })
      .then(
        () => 'answered',
        () => 'cut',
      )
    const theirs = await begun
    await upstreams.close()
    upstream.answerWith(undefined)
    expect(await outcome).toBe('cut')
    if (!theirs.destroyed) await once(theirs, 'close')
  })

  it('ends when its table is retired: requests under way are answered, then the connections close', async () => {
    const upstreams = openTargets([upstream.url])
    const begun = new Promise<ServerResponse>((resolve) =>
      upstream.answerWith((_req, res) => {
        res.write('one ')
        resolve(res)
      }),
    )
    const target = upstreams.next('own')
    const text = target.pool.request({ method: 'GET', path: '/' }).then(({ body }) => body.text())
    const theirs = await begun
    upstream.answerWith(undefined)
    const retired = upstreams.retire()
    const again = upstreams.retire()
    expect(() => upstreams.next('own')).toThrow('upstream_unavailable')
    expect(target.pool.destroyed).toBe(false)
    theirs.end('two')
    expect(await text).toBe('one two')
    await Promise.all([retired, again])
    expect(target.pool.destroyed).toBe(true)
    await upstreams.retire()
    await upstreams.close()
  })

  it('is cut when a retired table is closed', async () => {
    const upstreams = openTargets([upstream.url])
    const begun = new Promise<void>((resolve) => upstream.answerWith(() => resolve()))
    const outcome = upstreams
      .next('own')
      .pool.request({ method: 'GET', path: '/' })
      .then(
        () => 'answered',
        () => 'cut',
      )
    await begun
    upstream.answerWith(undefined)
    const retired = upstreams.retire()
    await upstreams.close()
    await retired
    expect(await outcome).toBe('cut')
  })

  it('keeps an unused connection no longer than its upstream says, whatever the target asks for', async () => {
    const upstreams = openTargets([upstream.url], { timeouts: '{ keepAliveMs: 50 }' })
    const usual = upstream.server.keepAliveTimeout
    upstream.server.keepAliveTimeout = 0 // it never closes one itself
    upstream.answerWith((_req, res) => res.writeHead(200, { 'Keep-Alive': 'timeout=600' }).end('ok'))
    const connected = once(upstream.server, 'connection') as Promise<[Socket]>
    const { body } = await upstreams.next('own').pool.request({ method: 'GET', path: '/' })
    await body.text()
    const [socket] = await connected
    await until(() => Promise.resolve(socket.destroyed || undefined))
    upstream.server.keepAliveTimeout = usual
    upstream.answerWith(undefined)
    await upstreams.close()
  })

  it('takes a head of up to 32 KiB', async () => {
    const upstreams = openTargets([upstream.url])
    const ask = async (bytes: number) => {
      upstream.answerWith((_req, res) => res.writeHead(200, { 'X-Long': 'x'.repeat(bytes) }).end())
      const { statusCode, body } = await upstreams.next('own').pool.request({ method: 'GET', path: '/' })
      await body.dump()
      return statusCode
    }
    expect(await ask(31 * 1024)).toBe(200)
    await expect(ask(33 * 1024)).rejects.toThrow('Headers Overflow')
    upstream.answerWith(undefined)
    await upstreams.close()
  })

  it('is not counted for requests that failed or were given up: the next are served', async () => {
    for (let round = 0; round < 140; round += 1) {
      upstream.answerWith((_req, res) => res.destroy())
      // one fewer than would open the circuit
      const failed = await Promise.all(Array.from({ length: 4 }, () => sendLines(gateway.url, 'GET /public')))
      expect(failed.map(({ status }) => status)).toEqual([502, 502, 502, 502])
      upstream.answerWith(undefined)
      expect((await sendLines(gateway.url, 'GET /public')).status).toBe(200)
    }
    upstream.answerWith((_req, res) => res.destroy())
    await Promise.all(Array.from({ length: 4 }, () => sendLines(gateway.url, 'GET /public')))
    upstream.answerWith(undefined)
    const socket = await openSocket(gateway.url)
    socket.write('GET /public HTTP/1.1\r\nHost: x\r\n\r\n')
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    expect(parseResponse(chunk.toString('latin1')).status).toBe(200)
  })
})
