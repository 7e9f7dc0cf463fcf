import { PassThrough, Transform, type Readable } from 'node:stream'
import type { Request } from 'express'
import { GatewayError } from '../errors.js'

function counter(limit: number, tooLarge: () => GatewayError): Transform {
  let length = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.length
      if (length > limit) done(tooLarge())
      else done(null, chunk)
    },
  })
}

/**
 * The request's body, which ends in `body_too_large` as soon as it is longer than `limit` bytes. A stream of its own: whoever is
 * done with it early destroys it, and must not destroy the client's connection, which waits for the answer.
 */
export function limitedBody(req: Request, limit: number | undefined): Readable {
  const tooLarge = () => new GatewayError('body_too_large', `The body is larger than ${limit ?? 0} bytes`)
  if (limit !== undefined && Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge()
  const body = limit === undefined ? new PassThrough() : counter(limit, tooLarge)
  body.on('error', () => undefined) // whoever sends it on hears of it; without a listener it would end the process
  req.once('error', (error) => body.destroy(error))
  return req.pipe(body)
}
