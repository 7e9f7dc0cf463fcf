import { errors } from 'undici'
import type { UpstreamHeaders } from './response-headers.js'

/** The head of a final response. */
export interface ResponseHead {
  status: number
  headers: UpstreamHeaders
  /** Whether the connection may carry another request after this response. */
  keepAlive: boolean
}

/** What a response consists of, as it is read. */
export interface ResponseEvents {
  /** An interim response (1xx). */
  onInterim: () => void
  onHead: (head: ResponseHead) => void
  /** A piece of the body. It is a view: copy what is kept after the call. */
  onBody: (piece: Buffer) => void
  onEnd: (trailers: UpstreamHeaders) => void
}

type State =
  'idle' | 'head' | 'length' | 'until-end' | 'size' | 'chunk' | 'chunk-end' | 'trailers' | 'complete'

/** A head, or the trailers, with all their names and values. */
const maxHeadBytes = 32 * 1024
/** The line with the size of a chunk. */
const maxSizeLineBytes = 1024

/** RFC 9112 §4: the version, three digits, and a reason that may be missing. */
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/
/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Control characters, and half a line end. */
// eslint-disable-next-line no-control-regex -- these are what is looked for
const forbidden = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|[^\r]\n|^\n/
/** RFC 9112 §7.1: the size of a chunk, and extensions that nobody reads. */
const sizeLine = /^([0-9a-f]{1,12})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/i
const digits = /^\d{1,15}$/

const malformed = (reason: string) =>
  new errors.HTTPParserError(`The response does not match HTTP/1.1 (${reason})`)

/**
 * Names in lower case, by their spelling in responses. Services choose them: it begins anew when there are
 * many, and long ones are not kept.
 */
const knownNames = new Map<string, string>()
const maxKnownNames = 1000
const longestKnown = 64

/** Returns a header name in lower case. Throws for what is no name. */
function lowerName(name: string): string {
  const known = knownNames.get(name)
  if (known !== undefined) return known
  if (!token.test(name)) throw malformed('a header has no valid name')
  const lower = name.toLowerCase()
  if (knownNames.size >= maxKnownNames) knownNames.clear()
  if (name.length <= longestKnown) knownNames.set(name, lower)
  return lower
}

const isBlank = (code: number) => code === 0x20 || code === 0x09

/** Returns the text between two positions without blanks at its ends (RFC 9110 §5.5). */
function trimmed(text: string, from: number, to: number): string {
  let [start, end] = [from, to]
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function add(headers: UpstreamHeaders, name: string, value: string): void {
  const before = headers[name]
  if (before === undefined) headers[name] = value
  else if (typeof before === 'string') headers[name] = [before, value]
  else before.push(value)
}

/** Reads header lines from `at` to the end of the text, which ends without a line end. */
function readLines(text: string, from: number): UpstreamHeaders {
  const headers = Object.create(null) as UpstreamHeaders
  let at = from
  while (at < text.length) {
    const end = text.indexOf('\r\n', at)
    const stop = end < 0 ? text.length : end
    const colon = text.indexOf(':', at)
    if (colon < 0 || colon >= stop) throw malformed('a header line has no colon')
    add(headers, lowerName(text.slice(at, colon)), trimmed(text, colon + 1, stop))
    at = stop + 2
  }
  return headers
}

/** Returns whether a list such as `Connection` names an option. */
const names = (list: string | string[] | undefined, option: string) =>
  list !== undefined &&
  String(list)
    .toLowerCase()
    .split(',')
    .some((one) => one.trim() === option)

/**
 * Reads the responses of one connection, one for each `begin` (RFC 9112). It is as strict as the parser of
 * Node, and refuses what that one still forgives. Each of its errors is an undici error, and ends the
 * connection.
 */
export class ResponseParser {
  private state: State = 'idle'
  private isHead = false
  private keepAlive = false
  /** Bytes of the body or of the chunk that are still to come. */
  private left = 0
  /** The begin of a head, a line or trailers whose end is still to come. */
  private text = ''
  private isPaused = false

  constructor(private readonly events: ResponseEvents) {}

  /** Expects a response to a request with this method. */
  begin(method: string): void {
    this.state = 'head'
    this.isHead = method === 'HEAD'
    this.text = ''
    this.isPaused = false
  }

  /** Whether no response is expected. */
  isIdle(): boolean {
    return this.state === 'idle'
  }

  /** Whether the head has come, and the rest is still to come. */
  isReadingBody(): boolean {
    return this.state !== 'idle' && this.state !== 'head'
  }

  /** Stops before the next event, the end included. `read` then returns how far it came. */
  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  /**
   * Reads bytes. Returns how many it used: fewer than there are when the response ended or the caller paused.
   * Throws for a malformed response.
   */
  read(bytes: Buffer): number {
    let at = 0
    while (!this.isPaused && this.state !== 'idle' && (at < bytes.length || this.state === 'complete'))
      at = this.step(bytes, at)
    return at
  }

  /** The other side has ended the connection. Returns whether that ends the response properly. */
  end(): boolean {
    if (this.state !== 'until-end') return false
    this.finish({})
    return true
  }

  /** Stops reading this response. */
  reset(): void {
    this.state = 'idle'
  }

  private step(bytes: Buffer, at: number): number {
    switch (this.state) {
      case 'head':
        return this.readHead(bytes, at)
      case 'length':
      case 'chunk':
        return this.readPiece(bytes, at)
      case 'until-end':
        this.events.onBody(bytes.subarray(at))
        return bytes.length
      case 'size':
        return this.readSize(bytes, at)
      case 'chunk-end':
        return this.readChunkEnd(bytes, at)
      case 'trailers':
        return this.readTrailers(bytes, at)
      case 'complete':
        this.finish({})
        return at
      case 'idle':
        return at
    }
  }

  /**
   * Collects text until `end`, and leaves it in `this.text` without it. Returns the position behind it, or -1
   * when it is still to come. Throws when the text grows too long.
   */
  private collect(bytes: Buffer, at: number, end: string, most: number, tooLong: () => Error): number {
    const before = this.text.length
    // The end may lie across two pieces; more than it may hold is never read as text.
    const piece = bytes.toString('latin1', at, Math.min(bytes.length, at + most - before + end.length))
    this.text += piece
    const found = this.text.indexOf(end, Math.max(0, before - end.length + 1))
    if (found >= 0) {
      this.text = this.text.slice(0, found)
      return at + found + end.length - before
    }
    if (this.text.length >= most) throw tooLong()
    return -1
  }

  private readHead(bytes: Buffer, at: number): number {
    const next = this.collect(bytes, at, '\r\n\r\n', maxHeadBytes, () => new errors.HeadersOverflowError())
    if (next < 0) {
      this.refuseOtherProtocol()
      return bytes.length
    }
    const { text } = this
    this.text = ''
    this.useHead(text)
    return next
  }

  /** What does not begin like a response need not be waited for. */
  private refuseOtherProtocol(): void {
    const begin = 'HTTP/1.'
    if (!this.text.startsWith(begin) && !begin.startsWith(this.text)) throw malformed('no status line')
  }

  private useHead(text: string): void {
    if (forbidden.test(text)) throw malformed('a control character')
    const lineEnd = text.indexOf('\r\n')
    const line = statusLine.exec(lineEnd < 0 ? text : text.slice(0, lineEnd))
    if (!line) throw malformed('no status line')
    const status = Number(line[2])
    const headers = lineEnd < 0 ? readLines('', 0) : readLines(text, lineEnd + 2)
    if (status < 200) this.skipInterim(status, headers)
    else this.beginBody(status, headers, line[1] === '1')
  }

  private skipInterim(status: number, headers: UpstreamHeaders): void {
    if (status === 100) throw new errors.SocketError('bad response') // nobody asked for it
    if (status === 101) throw new errors.SocketError('bad upgrade')
    if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined)
      throw malformed('an interim response with a body')
    this.events.onInterim()
  }

  /** RFC 9112 §6.3: the length of the body. */
  private beginBody(status: number, headers: UpstreamHeaders, isVersion11: boolean): void {
    const { 'content-length': length, 'transfer-encoding': coding, connection } = headers
    if (coding !== undefined && (length !== undefined || !isVersion11)) throw malformed('two lengths')
    if (length !== undefined && (typeof length !== 'string' || !digits.test(length)))
      throw malformed('a length that is no number')
    this.keepAlive = isVersion11 ? !names(connection, 'close') : names(connection, 'keep-alive')
    const isBodiless = this.isHead || status === 204 || status === 304
    if (isBodiless && !this.isHead && coding !== undefined) throw malformed('a body that cannot be')
    const isUnknown = coding !== undefined && String(coding).toLowerCase() !== 'chunked'
    this.state = coding !== undefined ? 'size' : length === undefined ? 'until-end' : 'length'
    this.left = Number(length ?? 0)
    if (this.state === 'until-end' && !isBodiless) this.keepAlive = false
    this.events.onHead({ status, headers, keepAlive: this.keepAlive })
    if (this.isEnded()) return
    if (isBodiless || (this.state === 'length' && this.left === 0)) this.state = 'complete'
    else if (isUnknown) throw malformed('a transfer coding that nobody undoes')
  }

  /** An event may have given up the response. */
  private isEnded(): boolean {
    return this.state === 'idle'
  }

  private readPiece(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.left)
    this.left -= end - at
    if (this.left === 0) this.state = this.state === 'chunk' ? 'chunk-end' : 'complete'
    this.events.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
    return end
  }

  private readSize(bytes: Buffer, at: number): number {
    const next = this.collect(bytes, at, '\r\n', maxSizeLineBytes, () => malformed('a chunk without a size'))
    if (next < 0) return bytes.length
    const size = sizeLine.exec(this.text)?.[1]
    this.text = ''
    if (size === undefined) throw malformed('a chunk without a size')
    this.left = Number.parseInt(size, 16)
    this.state = this.left === 0 ? 'trailers' : 'chunk'
    if (this.left === 0) this.text = '\r\n' // so that no trailers end like some
    return next
  }

  private readChunkEnd(bytes: Buffer, at: number): number {
    const next = this.collect(bytes, at, '\r\n', 2, () => malformed('a chunk longer than its size'))
    if (next < 0) {
      if (this.text !== '\r') throw malformed('a chunk longer than its size')
      return bytes.length
    }
    if (this.text !== '') throw malformed('a chunk longer than its size')
    this.state = 'size'
    return next
  }

  private readTrailers(bytes: Buffer, at: number): number {
    const next = this.collect(bytes, at, '\r\n\r\n', maxHeadBytes, () => new errors.HeadersOverflowError())
    if (next < 0) return bytes.length
    const { text } = this
    this.text = ''
    if (forbidden.test(text)) throw malformed('a control character')
    const trailers = readLines(text, 2)
    if (trailers['content-length'] !== undefined) throw malformed('a length behind the body')
    this.finish(trailers)
    return next
  }

  private finish(trailers: UpstreamHeaders): void {
    this.state = 'idle'
    this.events.onEnd(trailers)
  }
}
