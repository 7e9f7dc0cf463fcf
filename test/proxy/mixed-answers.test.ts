import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestGateway, type TestGateway } from '../support/gateway.js'
import { until } from '../support/until.js'

/** What a service may do with a request. Each answer holds the id of its request. */
const kinds = [
  'length',
  'chunks',
  'until-end',
  'slow',
  'close',
  'surplus',
  'reset',
  'cut',
  'silent-end',
  'soon-after',
  'large',
] as const
type Kind = (typeof kinds)[number]

const stolen = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nid stolen'

const lengthOf = (body: string, ...lines: string[]) =>
  ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...lines, '', body].join('\r\n')

const bodyOf = (id: string, kind: Kind) => `id ${id} `.repeat(kind === 'large' ? 40_000 : 1)

function answer(socket: Socket, id: string, kind: Kind): void {
  const body = bodyOf(id, kind)
  const later = (work: () => void, ms: number) => setTimeout(() => !socket.destroyed && work(), ms)
  const actions: Record<Kind, () => void> = {
    length: () => socket.write(lengthOf(body)),
    large: () => socket.write(lengthOf(body)),
    chunks: () => {
      socket.write(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`,
      )
      later(() => socket.write('0\r\n\r\n'), 1)
    },
    'until-end': () => socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`),
    slow: () => {
      const text = lengthOf(body)
      socket.write(text.slice(0, 20))
      later(() => socket.write(text.slice(20)), 3)
    },
    close: () => socket.end(lengthOf(body, 'Connection: close')),
    surplus: () => socket.write(lengthOf(body) + stolen),
    reset: () => socket.resetAndDestroy(),
    cut: () => socket.end(lengthOf(body).slice(0, -2)),
    'silent-end': () => {
      socket.write(lengthOf(body))
      later(() => socket.end(), 1)
    },
    // One turn of the event loop later: a client that writes its next request at once takes it for the answer.
    'soon-after': () => {
      socket.write(lengthOf(body))
      setImmediate(() => socket.end(stolen))
    },
  }
  actions[kind]()
}

let server: Server
let gateway: TestGateway
const sockets = new Set<Socket>()
beforeAll(async () => {
  server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      const [, kind, id] = /^GET \/public\/([\w-]+)\/(\w+) /.exec(text) ?? []
      text = text.slice(end + 4)
      answer(socket, id ?? '', kind as Kind)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  gateway = await startTestGateway({
    routes: `
upstreams:
  own:
    targets: ['http://127.0.0.1:${(server.address() as AddressInfo).port}']
    circuit: { failures: 100000 }
routes:
  /public: { upstream: own, auth: public }
`,
  })
})
afterAll(async () => {
  await gateway.stop()
  server.close()
  for (const socket of sockets) socket.destroy()
})

describe('answers of a service that resets, cuts, closes, and sends more than it was asked', () => {
  it('each reach the caller that asked, whole or not at all', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 24 })
    const outcomes = { whole: 0, failed: 0, aborted: 0 }
    const ask = (id: string, kind: Kind, gives: boolean) =>
      new Promise<void>((resolve, reject) => {
        const request = get(`${gateway.url}/public/${kind}/${id}`, { agent }, (response) => {
          let body = ''
          response.setEncoding('latin1').on('data', (piece: string) => {
            body += piece
          })
          response.on('error', () => undefined)
          response.on('close', () => {
            const isWhole = response.complete && response.statusCode === 200
            if (isWhole && body !== bodyOf(id, kind))
              reject(new Error(`request ${id} (${kind}) was answered: ${body.slice(0, 60)}`))
            if (!isWhole && body.includes('stolen'))
              reject(new Error(`request ${id} (${kind}) got another’s answer`))
            outcomes[gives ? 'aborted' : isWhole ? 'whole' : 'failed'] += 1
            resolve()
          })
        })
        request.on('error', () => {
          outcomes[gives ? 'aborted' : 'failed'] += 1
          resolve()
        })
        if (gives) setTimeout(() => request.destroy(), Math.random() * 4)
      })
    const count = Number(process.env.MIXED_ANSWERS ?? 3000)
    let next = 0
    await Promise.all(
      Array.from({ length: 24 }, async () => {
        while (next < count) {
          next += 1
          const kind = kinds[Math.floor(Math.random() * kinds.length)] ?? 'length'
          await ask(next.toString(36), kind, Math.random() < 0.1)
        }
      }),
    )
    agent.destroy()
    expect(outcomes.whole).toBeGreaterThan(count / 2)
    expect(outcomes.aborted).toBeGreaterThan(count / 50)
    // Kept connections are few, whatever ended the others.
    await until(() => Promise.resolve(sockets.size <= 30 || undefined))
  }, 3_600_000)
})
