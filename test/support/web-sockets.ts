import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer, type ClientOptions, type RawData } from 'ws'
import { eventually } from './within.js'

const acceptOf = (key: string) =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

/** RFC 6455 §5.2 */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const textOf = (data: RawData) =>
  (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)).toString()

/** One frame, as a side that keeps to nothing but the bytes writes it. */
export function frame(
  payload: string | Buffer,
  {
    opcode = opcodes.text,
    masked = false,
    isLast = true,
  }: { opcode?: number; masked?: boolean; isLast?: boolean } = {},
): Buffer {
  const data = Buffer.from(payload as Buffer)
  const length = data.length < 126 ? Buffer.from([data.length]) : Buffer.alloc(data.length < 65_536 ? 3 : 9)
  if (length.length === 3) {
    length[0] = 126
    length.writeUInt16BE(data.length, 1)
  } else if (length.length === 9) {
    length[0] = 127
    length.writeBigUInt64BE(BigInt(data.length), 1)
  }
  const first = Buffer.from([(isLast ? 0x80 : 0) | opcode])
  if (!masked) return Buffer.concat([first, length, data])
  const mask = randomBytes(4)
  length[0] = (length[0] ?? 0) | 0x80
  return Buffer.concat([first, length, mask, data.map((byte, index) => byte ^ (mask[index % 4] ?? 0))])
}

/** A frame as it was read. */
export interface Frame {
  opcode: number
  isLast: boolean
  masked: boolean
  payload: Buffer
}

/** The whole frames that bytes begin with, and how many bytes are left. */
export function framesIn(bytes: Buffer): { frames: Frame[]; left: number } {
  const frames: Frame[] = []
  let at = 0
  for (;;) {
    const [first, second] = [bytes[at], bytes[at + 1]]
    if (first === undefined || second === undefined) break
    const short = second & 0x7f
    const masked = second >= 0x80
    const payloadAt = at + 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + (masked ? 4 : 0)
    if (bytes.length < payloadAt) break
    const length =
      short === 127
        ? Number(bytes.readBigUInt64BE(at + 2))
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : short
    if (bytes.length < payloadAt + length) break
    const mask = bytes.subarray(payloadAt - 4, payloadAt)
    const payload = Buffer.from(bytes.subarray(payloadAt, payloadAt + length))
    frames.push({
      opcode: first & 0x0f,
      isLast: first >= 0x80,
      masked,
      payload: masked ? (payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0)) as Buffer) : payload,
    })
    at = payloadAt + length
  }
  return { frames, left: bytes.length - at }
}

/** What a Close frame says, as [code, reason]. */
export const closeOf = ({ payload }: Frame): [number, string] => [
  payload.readUInt16BE(0),
  payload.subarray(2).toString(),
]

/** One end of a connection that has been upgraded, of which the test sees every byte. */
export interface RawEnd {
  socket: Duplex
  /** The head that it came with. */
  head: string
  /** All bytes since the upgrade. */
  bytes: () => Buffer
  frames: () => Frame[]
  /** The texts of the data frames. */
  texts: () => string[]
  /** The Close frame, as [code, reason], where one has come. */
  close: () => [number, string] | undefined
  /** Whether the other side has ended, in whatever way. */
  hasEnded: () => boolean
  ended: Promise<void>
}

function readersOf(bytes: () => Buffer): Pick<RawEnd, 'frames' | 'texts' | 'close'> {
  const frames = () => framesIn(bytes()).frames
  return {
    frames,
    texts: () =>
      frames()
        .filter(({ opcode }) => opcode < opcodes.close)
        .map(({ payload }) => payload.toString()),
    close: () =>
      frames()
        .filter(({ opcode }) => opcode === opcodes.close)
        .map(closeOf)[0],
  }
}

function rawEnd(socket: Duplex, head: string, first: Buffer): RawEnd {
  const chunks = [first]
  let hasEnded = false
  const ended = new Promise<void>((resolve) => {
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        hasEnded = true
        resolve()
      })
  })
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => undefined)
  const bytes = () => Buffer.concat(chunks)
  return { socket, head, bytes, ...readersOf(bytes), ended, hasEnded: () => hasEnded }
}

/** A service behind the gateway that speaks WebSocket. */
export interface SocketUpstream {
  url: string
  /** The next connection, joined as the library does it. Ask before the client begins. */
  next: () => Promise<{ socket: WebSocket; req: IncomingMessage; messages: string[] }>
  /**
   * The next connection, of which the test writes and reads every byte; `behind` goes out in one piece with
   * the head.
   */
  nextRaw: (behind?: Buffer) => Promise<RawEnd>
  /** Takes the next upgrade, whatever it does with it. */
  nextUpgrade: (take: (req: IncomingMessage, socket: Duplex) => void) => void
  /** Upgrades that have arrived so far. */
  count: () => number
  stop: () => Promise<void>
}

type Take = (req: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Starts such a service on a free port. What nobody waits for is echoed. Other requests are answered 426. */
export async function startSocketUpstream(): Promise<SocketUpstream> {
  const server = createServer((req, res) => {
    res.writeHead(426, { 'Content-Type': 'text/plain' })
    req.resume().on('end', () => res.end(`${req.method ?? ''} ${req.url ?? ''}`))
  })
  const library = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 0 } })
  const open = new Set<Duplex>()
  const takers: Take[] = []
  let count = 0
  server.on('upgrade', (req, socket: Duplex, head: Buffer) => {
    count += 1
    open.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => open.delete(socket))
    const take = takers.shift()
    if (take) take(req, socket, head)
    else
      library.handleUpgrade(req, socket, head, (joined) =>
        joined.on('message', (data, isBinary) => joined.send(data, { binary: isBinary })),
      )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    next: () =>
      new Promise((resolve) =>
        takers.push((req, socket, head) => {
          library.handleUpgrade(req, socket, head, (joined) => {
            const messages: string[] = []
            joined.on('message', (data) => messages.push(textOf(data)))
            joined.on('error', () => undefined)
            resolve({ socket: joined, req, messages })
          })
        }),
      ),
    nextRaw: (behind: Buffer = Buffer.alloc(0)) =>
      new Promise((resolve) =>
        takers.push((req, socket, head) => {
          const answer =
            'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
            `Sec-WebSocket-Accept: ${acceptOf(req.headers['sec-websocket-key'] ?? '')}\r\n\r\n`
          socket.write(Buffer.concat([Buffer.from(answer), behind]))
          resolve(rawEnd(socket, JSON.stringify(req.headers), head))
        }),
      ),
    nextUpgrade: (take) => takers.push(take),
    count: () => count,
    stop: async () => {
      for (const socket of open) socket.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** What became of an attempt to open a WebSocket. */
export interface Opened {
  socket: WebSocket
  status: number
  /** Head and body of a refusal. */
  headers: IncomingMessage['headers']
  body: string
  messages: string[]
  /** Resolves with the code and the reason of its end. */
  closed: Promise<[number, string]>
}

async function bodyOf(res: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Opens a WebSocket, and answers when that has been granted or refused. */
export async function openWebSocket(
  url: string,
  headers: Record<string, string> = {},
  protocols: string[] = [],
  options: ClientOptions = {},
): Promise<Opened> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), protocols, {
    headers,
    perMessageDeflate: false,
    ...options,
  })
  const messages: string[] = []
  socket.on('message', (data) => messages.push(textOf(data)))
  socket.on('error', () => undefined)
  const closed = once(socket, 'close').then(([code, reason]): [number, string] => [
    code as number,
    String(reason),
  ])
  type Refusal = Pick<Opened, 'status' | 'headers' | 'body'>
  const without = (status: number): Refusal => ({ status, headers: {}, body: '' })
  const answer = await Promise.race([
    once(socket, 'open').then(() => without(101)),
    once(socket, 'unexpected-response').then(async ([, res]): Promise<Refusal> => {
      const { statusCode = 0, headers } = res as IncomingMessage
      return { status: statusCode, headers, body: await bodyOf(res as IncomingMessage) }
    }),
    closed.then(() => without(0)),
  ])
  if (answer.status !== 101) socket.terminate()
  return { socket, ...answer, messages, closed }
}

/**
 * Opens a WebSocket of which the test writes and reads every byte; `behind` goes out in one piece with the
 * request. Its end does not end what we write.
 */
export async function openRawWebSocket(
  url: string,
  headers: Record<string, string> = {},
  behind: Buffer = Buffer.alloc(0),
): Promise<RawEnd> {
  const { hostname, port, host, pathname, search } = new URL(url)
  const socket = net.connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  socket.on('error', () => undefined)
  const lines = Object.entries({
    Host: host,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers,
  })
  socket.write(
    Buffer.concat([
      Buffer.from(
        [
          `GET ${pathname}${search} HTTP/1.1`,
          ...lines.map(([name, value]) => `${name}: ${value}`),
          '',
          '',
        ].join('\r\n'),
      ),
      behind,
    ]),
  )
  const whole = rawEnd(socket, '', Buffer.alloc(0))
  const headLength = await eventually(() => {
    const end = whole.bytes().indexOf('\r\n\r\n')
    if (end >= 0) return end + 4
    return whole.hasEnded() ? whole.bytes().length : undefined
  })
  const bytes = () => whole.bytes().subarray(headLength)
  return {
    ...whole,
    ...readersOf(bytes),
    head: whole.bytes().subarray(0, headLength).toString('latin1'),
    bytes,
  }
}
