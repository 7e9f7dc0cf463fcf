import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { Client, type Dispatcher } from 'undici'
import type { UpstreamHeaders } from '../../src/proxy/response-headers.js'
import { ResponseParser } from '../../src/proxy/response-parser.js'

/** A response as it was read; undefined where it was refused, or did not end. */
type Read = { status: number; headers: UpstreamHeaders; body: string; trailers: UpstreamHeaders } | undefined

/** Reads the pieces of a response with the own parser. */
function readOwn(method: string, pieces: Buffer[]): Read {
  const found: { status?: number; headers: UpstreamHeaders; trailers?: UpstreamHeaders } = { headers: {} }
  let body = ''
  const parser = new ResponseParser({
    onInterim: () => undefined,
    onHead: ({ status, headers }) => Object.assign(found, { status, headers: { ...headers } }),
    onBody: (piece) => {
      body += piece.toString('latin1')
    },
    onEnd: (trailers) => Object.assign(found, { trailers: { ...trailers } }),
  })
  parser.begin(method)
  try {
    for (const piece of pieces) parser.read(piece)
    parser.end()
  } catch {
    return undefined
  }
  const { status, headers, trailers } = found
  return status === undefined || trailers === undefined ? undefined : { status, headers, body, trailers }
}

/** What the next connection is sent once it has asked. */
let sent: Buffer[] = []
let server: Server
beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      for (const piece of sent) socket.write(piece)
      socket.end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => {
  server.close()
})

/** Headers without blanks at the end of their values, which llhttp leaves there (RFC 9110 §5.5). */
const trimmed = (headers: UpstreamHeaders): UpstreamHeaders =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map((one) => one.replace(/[\t ]+$/, '')) : value?.replace(/[\t ]+$/, ''),
    ]),
  )

/** Reads the pieces of a response with undici, which reads with llhttp, the parser of Node. */
async function readByUndici(method: string, pieces: Buffer[]): Promise<Read> {
  sent = pieces
  const { port } = server.address() as AddressInfo
  const client = new Client(`http://127.0.0.1:${port}`, { maxHeaderSize: 32 * 1024 })
  const read = await new Promise<Read>((resolve) => {
    let [status, body] = [0, '']
    let headers: UpstreamHeaders = {}
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => undefined,
      onResponseStart: (_controller, code, all) => {
        if (code >= 200) [status, headers] = [code, trimmed(all)]
      },
      onResponseData: (_controller, chunk) => {
        body += chunk.toString('latin1')
      },
      onResponseEnd: (_controller, trailers) =>
        resolve({ status, headers, body, trailers: trimmed(trailers) }),
      onResponseError: () => resolve(undefined),
    }
    client.dispatch({ method: method, path: '/', headers: [], body: null }, handler)
  })
  await client.destroy()
  return read
}

const field = fc.constantFrom(
  'Content-Type: text/plain',
  'X-Empty:',
  'x-spaced:   a b\t ',
  'X-Bytes: \xe9\xff',
  'Set-Cookie: a=1',
  'Set-Cookie: b=2',
  'Connection: close',
  'Connection: keep-alive, x-own',
  'Keep-Alive: timeout=5',
  '__proto__: x',
  'toString: x',
  'Trailer: X-Sum',
)
const body = fc.constantFrom('', 'hello', 'a\r\nb', '0\r\n\r\n', '\0\xff', 'x'.repeat(300))

const chunksOf = (text: string, size: number, extension: string, trailers: string[]) => {
  let chunks = ''
  for (let at = 0; at < text.length; at += size) {
    const piece = text.slice(at, at + size)
    chunks += `${piece.length.toString(16)}${extension}\r\n${piece}\r\n`
  }
  return `${chunks}0${extension}\r\n${trailers.map((one) => `${one}\r\n`).join('')}\r\n`
}

const wellFormed = fc
  .record({
    interim: fc.constantFrom(
      '',
      '',
      '',
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
      'HTTP/1.1 102 x\r\n\r\n',
    ),
    line: fc.constantFrom(
      'HTTP/1.1 200 OK',
      'HTTP/1.1 200 ',
      'HTTP/1.1 404 Not Found',
      'HTTP/1.1 204 No Content',
      'HTTP/1.1 304 Not Modified',
      'HTTP/1.0 200 OK',
      'HTTP/1.1 999 \xe4',
    ),
    fields: fc.array(field, { maxLength: 5 }),
    framing: fc.constantFrom('length', 'chunked', 'end'),
    body,
    size: fc.integer({ min: 1, max: 40 }),
    extension: fc.constantFrom('', '', '', ';a', ';a=b'),
    trailers: fc.subarray(['X-Sum: 1', 'X-Other:']),
    surplus: fc.constantFrom('', '', '', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'x'),
  })
  .map(({ interim, line, fields, framing, body: text, size, extension, trailers, surplus }) => {
    const isBodiless = / (?:204|304) /.test(line)
    const isOld = line.startsWith('HTTP/1.0') // which knows no chunks
    const lengths = {
      length: [`Content-Length: ${text.length}`],
      chunked: isOld ? ['Connection: close'] : ['Transfer-Encoding: chunked'],
      end: ['Connection: close'],
    }
    const payload = framing === 'chunked' ? chunksOf(text, size, extension, trailers) : text
    const lines = [line, ...fields, ...(isBodiless ? [] : lengths[framing]), '', '']
    return `${interim}${lines.join('\r\n')}${isBodiless ? '' : payload}${framing === 'end' ? '' : surplus}`
  })

/** What is done to a response, so that it is mostly none any more. */
const damage = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  removed: fc.constantFrom(0, 0, 1, 1, 2, 5),
  inserted: fc.constantFrom(
    '',
    '',
    '\r',
    '\n',
    '\r\n',
    ' ',
    '\t',
    '\0',
    '\x7f',
    ':',
    ',',
    ';',
    '0',
    '5',
    'f',
    'x',
    '\x0b',
    '\xa0',
    '\r\nContent-Length: 3',
    '\r\nTransfer-Encoding: chunked',
    '\r\nTransfer-Encoding : chunked',
    '\r\n folded',
    '\r\nContent-Length: +5',
    '\r\nTransfer-Encoding: gzip',
    '\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
    '-',
    '+',
    '_',
  ),
})

const damaged = fc.tuple(wellFormed, fc.array(damage, { maxLength: 3 })).map(([text, damages]) =>
  damages.reduce((now, { at, removed, inserted }) => {
    const place = Math.floor(at * now.length)
    return now.slice(0, place) + inserted + now.slice(place + removed)
  }, text),
)

const method = fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'DELETE')
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 })

/** Cuts a text into pieces of bytes. */
function piecesOf(text: string, where: number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  const places = [
    0,
    ...where.map((one) => Math.floor(one * bytes.length)).sort((a, b) => a - b),
    bytes.length,
  ]
  return places.slice(1).flatMap((end, index) => {
    const piece = bytes.subarray(places[index], end)
    return piece.length === 0 ? [] : [piece]
  })
}

const runs = Number(process.env.FUZZ_RUNS ?? 3000)

describe('the parser of responses', () => {
  it('reads every response as llhttp does, or refuses it, and refuses all that llhttp refuses', async () => {
    const outcomes = { same: 0, refusedByBoth: 0, stricter: 0 }
    await fc.assert(
      fc.asyncProperty(method, damaged, cuts, async (asked, text, where) => {
        const own = readOwn(asked, piecesOf(text, where))
        const others = await readByUndici(asked, piecesOf(text, where))
        if (own) {
          expect(own).toEqual(others)
          outcomes.same += 1
        } else if (others) outcomes.stricter += 1
        else outcomes.refusedByBoth += 1
      }),
      { numRuns: runs },
    )
    expect(outcomes.same).toBeGreaterThan(runs / 5)
    expect(outcomes.refusedByBoth).toBeGreaterThan(runs / 5)
    expect(outcomes.stricter).toBeLessThan(runs / 10)
  }, 300_000)

  it('reads every well-formed response, in whatever pieces it comes', () => {
    fc.assert(
      fc.property(method, wellFormed, cuts, (asked, text, where) => {
        const whole = readOwn(asked, piecesOf(text, []))
        expect(whole).toBeDefined()
        expect(readOwn(asked, piecesOf(text, where))).toEqual(whole)
      }),
      { numRuns: runs },
    )
  }, 120_000)

  it('reads the same from single bytes as from the whole, also of what it refuses', () => {
    fc.assert(
      fc.property(method, damaged, (asked, text) => {
        const bytes = [...Buffer.from(text, 'latin1')].map((byte) => Buffer.from([byte]))
        expect(readOwn(asked, bytes)).toEqual(readOwn(asked, piecesOf(text, [])))
      }),
      { numRuns: Math.ceil(runs / 5) },
    )
  }, 120_000)

  const head = (...lines: string[]) => ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n')
  it.each([
    ['a length and chunks', head('Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['two lengths', head('Content-Length: 5', 'Content-Length: 5')],
    ['a length in a list', head('Content-Length: 5, 5')],
    ['a length with a sign', head('Content-Length: +5')],
    ['a length beyond what numbers hold', head('Content-Length: 9999999999999999')],
    ['a blank before the colon', head('Content-Length : 5')],
    ['a folded line', head('X-A: 1', ' 2')],
    ['a line without a colon', head('X-A')],
    ['a name that is empty', head(': 1')],
    ['a bare line feed', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['a bare carriage return', head('X-A: 1\r2')],
    ['a NUL', head('X-A: \0')],
    ['another version', 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['chunks of HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['an unasked 100', `HTTP/1.1 100 Continue\r\n\r\n${head('Content-Length: 0')}`],
    ['an unasked 101', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
    ['an interim response with a body', `HTTP/1.1 103 x\r\nContent-Length: 2\r\n\r\nhi${head()}`],
    ['a chunk that is longer than its size', `${head('Transfer-Encoding: chunked')}2\r\nabc\r\n0\r\n\r\n`],
    ['a size with a sign', `${head('Transfer-Encoding: chunked')}+2\r\nab\r\n0\r\n\r\n`],
    ['a size in another notation', `${head('Transfer-Encoding: chunked')}0x2\r\nab\r\n0\r\n\r\n`],
    ['a body that is cut', `${head('Content-Length: 5')}hell`],
    ['chunks that are cut', `${head('Transfer-Encoding: chunked')}5\r\nhello\r\n`],
    ['a head larger than 32 KiB', head(`X-A: ${'a'.repeat(33_000)}`)],
  ])('refuses %s', (_, text) => {
    expect(readOwn('GET', piecesOf(text, []))).toBeUndefined()
  })
})
