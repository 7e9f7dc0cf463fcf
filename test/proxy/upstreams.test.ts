import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { GatewayError } from '../../src/errors.js'
import { openUpstreams, type Target, type Upstreams } from '../../src/proxy/upstreams.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, openSocket, parseAnswer, sendLines } from '../support/raw-http.js'
import { until } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** Requests that one target may have at a time. */
const atATime = 512
const timeouts = { connectMs: 2000, headersMs: 30_000, bodyMs: 60_000 }

describe('the targets of an upstream', () => {
  let opened: Upstreams | undefined
  afterEach(async () => { await opened?.close() })

  function open(targets: string[], demoUrl?: string): Upstreams {
    opened = openUpstreams({ own: { targets, timeouts } }, demoUrl)
    return opened
  }
  const codeOfNext = (upstreams: Upstreams, name = 'own') => {
    try {
      upstreams.next(name)
      return undefined
    } catch (error) {
      return error instanceof GatewayError ? error.code : error
    }
  }
  const fill = (target: Target) => { for (let count = 0; count < atATime; count += 1) target.begin() }

  it('one with as many requests as it may have is refused at once, until one of them has ended', () => {
    const upstreams = open(['http://127.0.0.1:1'])
    const target = upstreams.next('own')
    for (let count = 1; count < atATime; count += 1) target.begin()
    expect(codeOfNext(upstreams)).toBeUndefined()
    target.begin()
    expect(codeOfNext(upstreams)).toBe('overloaded')
    target.end()
    expect(codeOfNext(upstreams)).toBeUndefined()
    target.begin()
    expect(codeOfNext(upstreams)).toBe('overloaded')
  })

  it('take turns, and a busy one is passed over as long as another is free', () => {
    const upstreams = open(['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3'])
    const [one, two, three] = [upstreams.next('own'), upstreams.next('own'), upstreams.next('own')]
    expect(new Set([one, two, three]).size).toBe(3)
    expect([upstreams.next('own'), upstreams.next('own'), upstreams.next('own')]).toEqual([one, two, three])
    fill(two)
    expect([upstreams.next('own'), upstreams.next('own'), upstreams.next('own')].map((target) => [one, two, three].indexOf(target))).toEqual([0, 2, 0])
    fill(one)
    fill(three)
    expect(codeOfNext(upstreams)).toBe('overloaded')
    two.end()
    expect(upstreams.next('own')).toBe(two)
  })

  it('of which none runs, or that nobody named, are unavailable and not overloaded', () => {
    expect(codeOfNext(open(['demo']))).toBe('upstream_unavailable')
    expect(codeOfNext(open(['http://127.0.0.1:1']), 'other')).toBe('upstream_unavailable')
    expect(codeOfNext(open(['demo'], 'http://127.0.0.1:1'))).toBeUndefined()
  })
})

describe('an upstream that answers nobody', () => {
  let upstream: Upstream
  let gateway: TestGateway
  beforeAll(async () => {
    upstream = await startUpstream()
    gateway = await startTestGateway({
      routes: `{ upstreams: { own: { targets: ['${upstream.url}'] }, other: { targets: ['${upstream.url}'] } }, routes: { /public: { upstream: own, auth: public }, /other: { upstream: other, auth: public } } }`,
    })
  })
  afterAll(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('holds up no further request: 503 overloaded at once, nothing else is touched, and it serves again when it answers', async () => {
    const waiting: ServerResponse[] = []
    upstream.answerWith((req, res) => {
      if (req.url === '/other') res.end('other')
      else waiting.push(res)
    })
    const pipelined = 8
    const sockets = await Promise.all(Array.from({ length: atATime / pipelined }, () => openSocket(gateway.url)))
    const texts = sockets.map(async (socket) => {
      let text = ''
      socket.on('data', (chunk: Buffer) => { text += chunk.toString('latin1') })
      socket.write(`GET /public HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(pipelined - 1) + 'GET /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
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
    const served = (await Promise.all(texts)).flatMap((text) => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status))
    expect(served).toEqual(Array.from({ length: atATime }, () => '200'))
    expect((await sendLines(gateway.url, 'GET /public')).status).toBe(200)
  })

  it('does not hold up an end: what is under way is cut', async () => {
    const upstreams = openUpstreams({ own: { targets: [upstream.url], timeouts } }, undefined)
    const begun = new Promise<ServerResponse>((resolve) => upstream.answerWith((_req, res) => resolve(res)))
    const outcome = upstreams.next('own').pool.request({ method: 'GET', path: '/' }).then(() => 'answered', () => 'cut')
    const theirs = await begun
    await upstreams.close()
    upstream.answerWith(undefined)
    expect(await outcome).toBe('cut')
    if (!theirs.destroyed) await once(theirs, 'close')
  })

  it('is not counted for requests that failed or were given up: the next are served', async () => {
    upstream.answerWith((_req, res) => res.destroy())
    for (let round = 0; round < 9; round += 1) {
      const answers = await Promise.all(Array.from({ length: 64 }, () => sendLines(gateway.url, 'GET /public')))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([502]))
    }
    upstream.answerWith(undefined)
    const socket = await openSocket(gateway.url)
    socket.write('GET /public HTTP/1.1\r\nHost: x\r\n\r\n')
    const [chunk] = await once(socket, 'data') as [Buffer]
    socket.destroy()
    expect(parseAnswer(chunk.toString('latin1')).status).toBe(200)
  })
})
