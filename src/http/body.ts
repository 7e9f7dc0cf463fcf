import type { Request } from 'express'
import { GatewayError } from '../errors.js'
import { chain, type Middleware } from './endpoint/chain.js'
import { hasBody } from './unfinished-body.js'

const maxBytes = 1024 * 1024
const maxLevels = 64
const maxFields = 100
/** Time limit for a whole body, so that a slow one does not hold its connection. */
const wholeWithinMs = 60_000

const bodyTooLarge = () => new GatewayError('body_too_large', `The body is larger than ${maxBytes} bytes`)

/**
 * The depth is measured before parsing, because a deeply nested result overflows the stack of code that walks
 * it.
 */
function refuseDeepNesting(text: Buffer): void {
  let level = 0
  let inString = false
  for (let index = 0; index < text.length; index += 1) {
    const byte = text[index]
    if (inString) {
      if (byte === 0x5c) index += 1
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      level += 1
      if (level > maxLevels)
        throw new GatewayError('body_invalid', `The body is nested more than ${maxLevels} levels deep`)
    } else if (byte === 0x7d || byte === 0x5d) level -= 1
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(text: Buffer): string {
  try {
    return utf8.decode(text)
  } catch (error) {
    throw new GatewayError('body_invalid', 'The body is not valid UTF-8', { cause: error })
  }
}

/** The body types that endpoints take. */
export type BodyType = 'application/json' | 'application/x-www-form-urlencoded'

/**
 * A content type with at most one charset, UTF-8. Two could be read in two ways, even with one of them hidden
 * in quotes.
 */
function isUtf8(contentType: string): boolean {
  const mentions = contentType.match(/charset/g)?.length ?? 0
  return mentions === 0 || (mentions === 1 && /;\s*charset="?utf-?8"?\s*(?:;|$)/.test(contentType))
}

/**
 * Refuses, before a byte is read, a body with a type, charset or coding that the endpoint does not accept.
 */
function refuseOtherTypes(accepted: BodyType[]): Middleware {
  const expected = `Send the body as ${accepted.join(' or ')} in UTF-8`
  return (req, res, next) => {
    if (!hasBody(req)) {
      next(
        accepted.length === 0
          ? undefined
          : new GatewayError('body_invalid', `The request has no body. ${expected}.`),
      )
      return
    }
    const contentType = (req.headers['content-type'] ?? '').toLowerCase()
    const type = contentType.split(';', 1)[0]?.trim()
    const coding = req.headers['content-encoding']
    if (
      !accepted.some((candidate) => candidate === type) ||
      !isUtf8(contentType) ||
      (coding !== undefined && coding !== 'identity')
    ) {
      next(new GatewayError('unsupported_media_type', `${expected}.`))
      return
    }
    if (Number(req.headers['content-length'] ?? 0) > maxBytes) {
      next(bodyTooLarge())
      return
    }
    if (req.headers.expect !== undefined && req.httpVersion !== '1.0') res.writeContinue()
    next()
  }
}

/** Collects the body. It refuses the body as soon as it is too large or too slow. */
function gather(req: Request, withinMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const late = setTimeout(() => {
      req.off('data', take)
      req.pause()
      reject(new GatewayError('request_malformed', 'The body took too long to arrive'))
    }, withinMs)
    req.once('close', () => clearTimeout(late))
    const take = (chunk: Buffer) => {
      length += chunk.length
      chunks.push(chunk)
      if (length <= maxBytes) return
      req.off('data', take)
      req.pause()
      reject(bodyTooLarge())
    }
    req.on('data', take)
    req.once('end', () => {
      clearTimeout(late)
      resolve(Buffer.concat(chunks))
    })
    req.once('error', (cause) =>
      reject(new GatewayError('body_invalid', 'The body ended before it was whole', { cause })),
    )
  })
}

function parseJson(text: Buffer): unknown {
  refuseDeepNesting(text)
  const decoded = decode(text)
  try {
    return JSON.parse(decoded)
  } catch (error) {
    // V8's message quotes the body, so it stays out of the response and of the log.
    throw new GatewayError('body_invalid', 'The body is not valid JSON', {
      cause: error instanceof Error ? error.name : undefined,
    })
  }
}

/** Returns a form as an object. A repeated field is an array, which no schema of one value accepts. */
function parseForm(text: Buffer): Record<string, string | string[]> {
  const form = decode(text)
  if (form.split('&', maxFields + 1).length > maxFields)
    throw new GatewayError('body_invalid', `The form has more than ${maxFields} fields`)
  return entriesOf(new URLSearchParams(form))
}

/** Returns parameters by name. A repeated one is an array of its values. */
export function entriesOf(parameters: URLSearchParams): Record<string, string | string[]> {
  const entries = new Map<string, string | string[]>()
  for (const [name, value] of parameters) {
    const known = entries.get(name)
    if (known === undefined) entries.set(name, value)
    else if (typeof known === 'string') entries.set(name, [known, value])
    else known.push(value)
  }
  return Object.fromEntries(entries)
}

/**
 * Reads the body into `req.body`: UTF-8, up to 1 MiB, JSON up to 64 levels, whole within a minute. Only the
 * `accepted` types (415).
 */
export function readBody(accepted: BodyType[], withinMs = wholeWithinMs): Middleware {
  return chain(refuseOtherTypes(accepted), async (req, _res, next) => {
    const text = await gather(req, withinMs)
    req.body = (req.headers['content-type'] ?? '').trim().toLowerCase().startsWith('application/json')
      ? parseJson(text)
      : parseForm(text)
    next()
  })
}
