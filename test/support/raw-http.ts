import { once } from 'node:events'
import net from 'node:net'

/** An HTTP/1.1 answer as it came over the wire. */
export interface RawAnswer {
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
export function parseAnswer(text: string): RawAnswer {
  const head = text.slice(0, Math.max(0, text.indexOf('\r\n\r\n')))
  const [first = '', ...lines] = head.split('\r\n')
  const headers: Record<string, string[]> = {}
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    ;(headers[name] ??= []).push(line.slice(line.indexOf(':') + 1).trim())
  }
  const rest = text.slice(head.length + 4)
  const body = headers['transfer-encoding']?.includes('chunked') === true ? dechunk(rest) : rest
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0), headers, body: Buffer.from(body, 'latin1').toString(), text }
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
export async function sendRaw(url: string, bytes: string | Buffer): Promise<RawAnswer> {
  const socket = await openSocket(url)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const closed = once(socket, 'close')
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  await closed
  return parseAnswer(Buffer.concat(chunks).toString('latin1'))
}

/** Sends one request with exactly these header lines after `Host` and `Connection: close`. */
export function sendLines(url: string, requestLine: string, lines: string[] = [], body = ''): Promise<RawAnswer> {
  return sendRaw(url, [`${requestLine} HTTP/1.1`, `Host: ${new URL(url).host}`, 'Connection: close', ...lines, '', body].join('\r\n'))
}

/** The `code` of a problem+json answer. */
export const codeOf = (answer: RawAnswer) => (JSON.parse(answer.body) as { code?: string }).code
