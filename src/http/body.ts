import express from 'express'
import { GatewayError } from '../errors.js'
import { chain, type Middleware } from './chain.js'

const maxBytes = 1024 * 1024
const maxLevels = 64

/** Nesting is measured before parsing: a parser returns what overflows the stack of whoever walks it. */
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
      if (level > maxLevels) throw new GatewayError('body_invalid', `The body is nested more than ${maxLevels} levels deep`)
    } else if (byte === 0x7d || byte === 0x5d) level -= 1
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function refuseBrokenText(text: Buffer): void {
  try {
    utf8.decode(text)
  } catch (error) {
    throw new GatewayError('body_invalid', 'The body is not valid UTF-8', { cause: error })
  }
}

/** The body types that endpoints take. */
export type BodyType = 'application/json' | 'application/x-www-form-urlencoded'

const hasBody = (headers: NodeJS.Dict<string | string[]>) => headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'

/** Says a charset at most once, and that it is UTF-8: two could be read in two ways, also where one is hidden in quotes. */
function isUtf8(contentType: string): boolean {
  const mentions = contentType.match(/charset/g)?.length ?? 0
  return mentions === 0 || (mentions === 1 && /;\s*charset="?utf-?8"?\s*(?:;|$)/.test(contentType))
}

/** Refuses, before a byte is read, a body whose type, charset or coding the endpoint does not take. */
function refuseOtherTypes(accepted: BodyType[]): Middleware {
  const expected = `Send the body as ${accepted.join(' or ')} in UTF-8`
  return (req, res, next) => {
    if (!hasBody(req.headers)) {
      next(accepted.length === 0 ? undefined : new GatewayError('body_invalid', `The request has no body. ${expected}.`))
      return
    }
    const contentType = (req.headers['content-type'] ?? '').toLowerCase()
    const type = contentType.split(';', 1)[0]?.trim()
    const coding = req.headers['content-encoding']
    if (!accepted.some((candidate) => candidate === type) || !isUtf8(contentType) || (coding !== undefined && coding !== 'identity')) {
      next(new GatewayError('unsupported_media_type', `${expected}.`))
      return
    }
    if (Number(req.headers['content-length'] ?? 0) > maxBytes) {
      next(new GatewayError('body_too_large', `The body is larger than ${maxBytes} bytes`))
      return
    }
    if (req.headers.expect !== undefined) res.writeContinue()
    next()
  }
}

/** body-parser throws errors of its own kind: they become ours, without the parser's text. */
function bodyError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined
  if (status === 413) return new GatewayError('body_too_large', `The body is larger than ${maxBytes} bytes`)
  if (status === 415) return new GatewayError('unsupported_media_type', 'The body has a charset or coding that is not supported')
  return new GatewayError('body_invalid', 'The body could not be read as what its Content-Type says')
}

/** Reads the body into `req.body`: UTF-8, up to 1 MiB, JSON up to 64 levels. Only the `accepted` types (415). */
export function readBody(accepted: BodyType[]): Middleware {
  const verify = (_req: unknown, _res: unknown, text: Buffer) => {
    refuseBrokenText(text)
    refuseDeepNesting(text)
  }
  const json = express.json({ limit: maxBytes, inflate: false, strict: false, type: 'application/json', verify })
  const form = express.urlencoded({ limit: maxBytes, inflate: false, extended: false, parameterLimit: 100, type: 'application/x-www-form-urlencoded' })
  const parse: Middleware = (req, res, next) => {
    const parser = (req.headers['content-type'] ?? '').trim().toLowerCase().startsWith('application/json') ? json : form
    parser(req, res, (error?: unknown) => next(error === undefined ? undefined : bodyError(error)))
  }
  return chain(refuseOtherTypes(accepted), parse)
}
