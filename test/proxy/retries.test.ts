import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '../support/database.js'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { codeOf, sendLines } from '../support/raw-http.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

/** A target of raw sockets: counts the requests that reach it. */
async function startTarget(behave: (socket: Socket) => void) {
  const target = {
    url: '',
    hits: 0,
    heard: [] as string[],
    stop: async () => {
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const server = net
    .createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (chunk: Buffer) => {
        target.hits += 1
        target.heard.push(chunk.toString('latin1'))
        behave(socket)
      })
    })
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  target.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return target
}

const answering = (socket: Socket) =>
  socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
const resetting = (socket: Socket) => socket.resetAndDestroy()
/** Begins to answer, and breaks off before the first byte of the body. */
const breakingOff = (socket: Socket) => {
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n', () => {
    setTimeout(() => socket.destroy(), 100)
  })
}
const answeringLate = (socket: Socket) => {
  setTimeout(() => answering(socket), 3000).unref()
}

describe('a request that got no answer', () => {
  let targets: Record<
    'good' | 'rude' | 'ruder' | 'rudest' | 'late' | 'begun',
    Awaited<ReturnType<typeof startTarget>>
  >
  let goneUrl: string
  let goneUrls: string[]
  let database: TestDatabase
  let gateway: TestGateway
  let taking: Upstream
  beforeAll(async () => {
    database = await createTestDatabase()
    targets = {
      good: await startTarget(answering),
      late: await startTarget(answeringLate),
      begun: await startTarget(breakingOff),
      rude: await startTarget(resetting),
      ruder: await startTarget(resetting),
      rudest: await startTarget(resetting),
    }
    const gone = await Promise.all(Array.from({ length: 3 }, () => startTarget(resetting)))
    await Promise.all(gone.map(({ stop }) => stop()))
    goneUrls = gone.map(({ url }) => url)
    goneUrl = goneUrls[0]!
    taking = await startUpstream()
    taking.answerWith((req, res) => {
      let length = 0
      req.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      req.on('end', () => res.end(String(length)))
    })
  })
  // A gateway for each test, so that each begins with closed circuits and at the first target.
  beforeEach(async () => {
    for (const target of Object.values(targets)) [target.hits, target.heard] = [0, []]
    const { good, rude, ruder, rudest, late, begun } = targets
    gateway = await startTestGateway({
      database,
      routes: `
upstreams:
  half: { targets: ['${rude.url}', '${good.url}'] }
  gone: { targets: ['${goneUrl}', '${good.url}'] }
  away: { targets: ['${goneUrls.join(`', '`)}', '${good.url}'] }
  alone: { targets: ['${rude.url}'] }
  takes: { targets: ['${goneUrl}', '${taking.url}'] }
  bad: { targets: ['${rude.url}', '${ruder.url}', '${rudest.url}', '${good.url}'] }
  slow: { targets: ['${late.url}', '${good.url}'] }
  begun: { targets: ['${begun.url}', '${good.url}'] }
routes:
  /half: { upstream: half, auth: public }
  /gone: { upstream: gone, auth: public }
  /away: { upstream: away, auth: public }
  /alone: { upstream: alone, auth: public }
  /takes: { upstream: takes, auth: public }
  /bad: { upstream: bad, auth: public }
  /begun: { upstream: begun, auth: public }
  /slow: { upstream: slow, auth: public, timeoutMs: 600 }
`,
    })
  })
  afterEach(() => gateway.stop())
  afterAll(async () => {
    await taking.stop()
    await Promise.all(Object.values(targets).map(({ stop }) => stop()))
    await database.drop()
  })

  it.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])(
    '%s without a body is sent to the other target',
    async (method) => {
      expect((await sendLines(gateway.url, `${method} /half`)).status).toBe(200)
      expect([targets.rude.hits, targets.good.hits]).toEqual([1, 1])
    },
  )

  it.each([
    ['POST', ''],
    ['PATCH', ''],
    ['PUT', 'once'],
  ])('%s %s is never sent twice: its sender decides', async (method, body) => {
    const answers = []
    for (let count = 0; count < 2; count += 1)
      answers.push(await sendLines(gateway.url, `${method} /half`, [`Content-Length: ${body.length}`], body))
    expect(answers.map(({ status }) => status)).toEqual([502, 200])
    expect([targets.rude.hits, targets.good.hits]).toEqual([1, 1])
  })

  it.each([
    ['POST', ''],
    ['PATCH', ''],
    ['POST', 'a body'],
    ['PATCH', 'a body'],
    ['PUT', 'a body'],
    ['DELETE', 'a body'],
  ])(
    '%s with "%s" goes to another target where the connection is refused: nothing had been sent',
    async (method, body) => {
      const answers = []
      for (let count = 0; count < 4; count += 1)
        answers.push(
          await sendLines(gateway.url, `${method} /gone`, [`Content-Length: ${body.length}`], body),
        )
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      expect([
        targets.good.hits,
        targets.good.heard.every((heard) => heard.startsWith(method) && heard.endsWith(`\r\n\r\n${body}`)),
      ]).toEqual([4, true])
    },
  )

  it('a large upload goes to another target, whole, where the connection is refused', async () => {
    const body = 'x'.repeat(3_000_000)
    for (let count = 0; count < 2; count += 1)
      expect(
        (await sendLines(gateway.url, 'POST /takes', [`Content-Length: ${body.length}`], body)).body,
      ).toBe(String(body.length))
  })

  it('because there was no connection goes on to the next, however many refuse', async () => {
    expect((await sendLines(gateway.url, 'POST /away', ['Content-Length: 0'])).status).toBe(200)
  })

  it('is sent once more to the only target, whose kept connection may have closed, and not a third time', async () => {
    expect((await sendLines(gateway.url, 'GET /alone')).status).toBe(502)
    expect(targets.rude.hits).toBe(2)
  })

  it('is sent to two others at most', async () => {
    const { status, body } = await sendLines(gateway.url, 'GET /bad')
    expect([status, JSON.parse(body)]).toEqual([502, expect.objectContaining({ code: 'upstream_failed' })])
    expect([targets.rude.hits, targets.ruder.hits, targets.rudest.hits, targets.good.hits]).toEqual([
      1, 1, 1, 0,
    ])
  })

  it('that timed out is not sent again: a slow service gets no more work', async () => {
    const answers = [await sendLines(gateway.url, 'GET /slow'), await sendLines(gateway.url, 'GET /slow')]
    expect(answers.map(({ status }) => status)).toEqual([504, 200])
    expect(answers.slice(0, 1).map(codeOf)).toEqual(['upstream_timeout'])
    expect([targets.late.hits, targets.good.hits]).toEqual([1, 1])
  })

  it('after an answer has begun is not sent again, also where none of it has been passed on', async () => {
    expect((await sendLines(gateway.url, 'GET /begun')).status).toBe(502)
    expect([targets.begun.hits, targets.good.hits]).toEqual([1, 0])
  })

  it('because there was no connection is sent elsewhere, however many came at once', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => sendLines(gateway.url, 'GET /gone')))
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(targets.good.hits).toBe(200)
  })
})
