import { Transform, type Readable } from 'node:stream'
import type { Request } from 'express'
import { GatewayError } from '../errors.js'

/** The request's body, which ends in `body_too_large` as soon as it is longer than `limit` bytes. */
export function limitedBody(req: Request, limit: number | undefined): Readable {
  if (limit === undefined) return req
  const tooLarge = () => new GatewayError('body_too_large', `The body is larger than ${limit} bytes`)
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge()
  let length = 0
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.length
      if (length > limit) done(tooLarge())
      else done(null, chunk)
    },
  })
  req.once('error', (error) => counted.destroy(error))
  return req.pipe(counted)
}
