import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'

/** An HTTP/1.1 answer as it came over the wire. */
export interface RawResponse {
  status: number
  /** By lower-case name; a repeated header has several values. */
  headers: Record<string, string[]>
  body: string
  /** All bytes until the connection's end, as Latin-1. */
  text: string
}

function dechunk(body: string): string {
  let [rest, whole] = [body, '']
  for (;;) {
    const end = rest.indexOf('\r\n')
    const length = Number.parseInt(rest, 16)
    if (end < 0 || !(length > 0)) return whole
    whole += rest.slice(end + 2, end + 2 + length)
    rest = rest.slice(end + 4 + length)
  }
}

/** Reads one answer; status 0 where there was none. */
export function parseResponse(text: string): RawResponse {
  const head = text.slice(0, Math.max(0, text.indexOf('\r\n\r\n')))
  const [first = '', ...lines] = head.split('\r\n')
  const headers = Object.create(null) as Record<string, string[]> // a header may be called constructor
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    ;(headers[name] ??= []).push(line.slice(line.indexOf(':') + 1).trim())
  }
  const rest = text.slice(head.length + 4)
  const body = headers['transfer-encoding']?.includes('chunked') === true ? dechunk(rest) : rest
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0),
    headers,
    body: Buffer.from(body, 'latin1').toString(),
    text,
  }
}

/** Opens a connection to the server of `url`. */
export async function openSocket(url: string): Promise<net.Socket> {
  const { hostname, port } = new URL(url)
  const socket = net.connect(Number(port), hostname)
  socket.on('error', () => undefined) // a server that refuses may reset
  await once(socket, 'connect')
  return socket
}

/** Sends bytes as they are, and answers what comes back until the server closes the connection. */
export async function sendRaw(url: string, bytes: string | Buffer): Promise<RawResponse> {
  const socket = await openSocket(url)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const closed = once(socket, 'close')
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  await closed
  return parseResponse(Buffer.concat(chunks).toString('latin1'))
}

/** Sends one request with exactly these header lines after `Host` and `Connection: close`. */
export function sendLines(
  url: string,
  requestLine: string,
  lines: string[] = [],
  body = '',
): Promise<RawResponse> {
  return sendRaw(
    url,
    [`${requestLine} HTTP/1.1`, `Host: ${new URL(url).host}`, 'Connection: close', ...lines, '', body].join(
      '\r\n',
    ),
  )
}

/** The `code` of a problem+json answer. */
export const codeOf = (answer: RawResponse) => (JSON.parse(answer.body) as { code?: string }).code

/** What came back on one connection. */
export interface Exchange {
  /** The final answers that are whole, in order. */
  answers: RawResponse[]
  /** The statuses of the interim ones (1xx). */
  interim: number[]
  /** What came behind the last whole answer: the beginning of one that is not. */
  rest: string
  /** All bytes, as Latin-1. */
  text: string
  /** False where the server left the connection open, and the client gave up waiting. */
  isClosed: boolean
}

/** How many characters the first answer of `text` takes, or undefined where it is not whole. */
function lengthOfAnswer(text: string, isClosed: boolean): number | undefined {
  const bodyStart = text.indexOf('\r\n\r\n') + 4
  if (bodyStart < 4) return undefined
  const { status, headers } = parseResponse(text.slice(0, bodyStart))
  if (status < 200 || status === 204 || status === 304) return bodyStart
  if (headers['transfer-encoding']?.includes('chunked') === true) {
    const chunks = readChunks(text.slice(bodyStart))
    return chunks && bodyStart + chunks.length
  }
  const announced = headers['content-length']?.[0]
  const length = announced === undefined ? undefined : bodyStart + Number(announced)
  if (length === undefined) return isClosed ? text.length : undefined
  return text.length < length ? undefined : length
}

/** Takes the bytes of a connection apart, as a client that believes what each answer says of its length. */
function parseAnswers(text: string, isClosed: boolean): Pick<Exchange, 'answers' | 'interim' | 'rest'> {
  const [answers, interim]: [RawResponse[], number[]] = [[], []]
  let rest = text
  for (
    let length = lengthOfAnswer(rest, isClosed);
    length !== undefined;
    length = lengthOfAnswer(rest, isClosed)
  ) {
    const answer = parseResponse(rest.slice(0, length))
    rest = rest.slice(length)
    if (answer.status >= 200) answers.push(answer)
    else interim.push(answer.status)
  }
  return { answers, interim, rest }
}

/**
 * Sends bytes as they are, and answers what comes back until the server closes the connection or is silent
 * for `patienceMs`.
 */
export async function exchange(
  url: string,
  bytes: string | Buffer,
  { patienceMs = 2000, halfClose = false } = {},
): Promise<Exchange> {
  const socket = await openSocket(url)
  let [text, isClosed] = ['', true]
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.setTimeout(patienceMs, () => {
    isClosed = false
    socket.destroy()
  })
  const closed = once(socket, 'close')
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  if (halfClose) socket.end()
  await closed
  return { ...parseAnswers(text, isClosed), text, isClosed }
}

/**
 * What each answer came to, in a word or two: its status, with its code where it is a problem, else its body.
 */
export const outcomes = ({ answers }: Exchange) =>
  answers.map((answer) => {
    const isProblem = answer.headers['content-type']?.join().startsWith('application/problem+json') === true
    return `${answer.status} ${isProblem ? (codeOf(answer) ?? '') : answer.body}`.trim()
  })

/** A whole request as it came over the wire. */
export interface RawRequest {
  method: string
  target: string
  /** Header lines as they were. */
  lines: string[]
  body: string
}

/** The values of a header of a request, one for each of its lines. */
export const valuesOf = ({ lines }: RawRequest, name: string) =>
  lines
    .filter((line) => line.slice(0, line.indexOf(':')).toLowerCase() === name.toLowerCase())
    .map((line) => line.slice(line.indexOf(':') + 1).trim())

/** A chunked body that is whole: what it says, and how many characters it takes with its trailers. */
function readChunks(text: string): { body: string; length: number } | undefined {
  let [position, body] = [0, '']
  for (;;) {
    const lineEnd = text.indexOf('\r\n', position)
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(text.slice(position, lineEnd), 16)
    if (!(size > 0)) {
      const end = size === 0 ? text.indexOf('\r\n\r\n', lineEnd) : -1
      return end < 0 ? undefined : { body, length: end + 4 }
    }
    position = lineEnd + 4 + size
    if (text.length < position) return undefined
    body += text.slice(lineEnd + 2, position - 2)
  }
}

/**
 * The first whole request of `text`, by the two framings of RFC 9112 §6 and nothing else, and how many
 * characters it takes.
 */
function readRequest(text: string): { request: RawRequest; length: number } | undefined {
  const bodyStart = text.indexOf('\r\n\r\n') + 4
  if (bodyStart < 4) return undefined
  const [first = '', ...lines] = text.slice(0, bodyStart - 4).split('\r\n')
  const [method = '', target = ''] = first.split(' ')
  const head = { method, target, lines, body: '' }
  if (valuesOf(head, 'Transfer-Encoding').length > 0) {
    const chunks = readChunks(text.slice(bodyStart))
    return chunks && { request: { ...head, body: chunks.body }, length: bodyStart + chunks.length }
  }
  const length = bodyStart + Number(valuesOf(head, 'Content-Length')[0] ?? 0)
  return text.length < length
    ? undefined
    : { request: { ...head, body: text.slice(bodyStart, length) }, length }
}

/** An answer that says its length and leaves its connection open. */
export const plainResponse = (body: string, ...lines: string[]) =>
  ['HTTP/1.1 200 OK', `Content-Length: ${Buffer.byteLength(body)}`, ...lines, '', body].join('\r\n')

/** An upstream of raw sockets that keeps every byte it is sent. */
export interface RawUpstream {
  url: string
  /** Whole requests, oldest first. */
  requests: RawRequest[]
  last: () => RawRequest
  /** Its ends of the connections, oldest first. */
  sockets: Socket[]
  /** What each connection has brought so far, as Latin-1. */
  received: string[]
  /** Connections, bytes and whole requests so far: where two are equal it saw nothing in between. */
  seen: () => { connections: number; bytes: number; requests: number }
  /** Answers each whole request from now on; without it: 200 with method and target. */
  answerWith: (answer?: (socket: Socket, request: RawRequest) => void) => void
  /** Answers as soon as a head has come, and whole requests no more. */
  answerHeads: (answer: (socket: Socket, head: string) => void) => void
  stop: () => Promise<void>
}

/** Starts a raw upstream on a free port. */
export async function startRawUpstream(): Promise<RawUpstream> {
  const [requests, sockets, received]: [RawRequest[], Socket[], string[]] = [[], [], []]
  const byDefault = (socket: Socket, { method, target }: RawRequest) => {
    socket.write(plainResponse(`${method} ${target}`))
  }
  let onRequest = byDefault
  let onHead: ((socket: Socket, head: string) => void) | undefined
  const server = net.createServer({ noDelay: true }, (socket) => {
    const connection = received.push('') - 1
    sockets.push(socket)
    let pending = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1')
      const hadHead = pending.includes('\r\n\r\n')
      received[connection] = (received[connection] ?? '') + text
      pending += text
      if (onHead && !hadHead && pending.includes('\r\n\r\n')) onHead(socket, pending)
      for (let whole = readRequest(pending); whole; whole = readRequest(pending)) {
        pending = pending.slice(whole.length)
        requests.push(whole.request)
        if (!onHead) onRequest(socket, whole.request)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    sockets,
    received,
    last: () => {
      const last = requests.at(-1)
      if (!last) throw new Error('the upstream has received nothing')
      return last
    },
    seen: () => ({
      connections: received.length,
      bytes: received.join('').length,
      requests: requests.length,
    }),
    answerWith: (answer) => {
      onRequest = answer ?? byDefault
      onHead = undefined
    },
    answerHeads: (answer) => {
      onHead = answer
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
