import { Transform, type Readable } from 'node:stream'
import type { Request } from 'express'
import type { Passage } from '../coherence/streams.js'
import { GatewayError } from '../errors.js'

const tooLarge = (limit: number) => new GatewayError('body_too_large', `The body is larger than ${limit} bytes`)

/** Throws `body_too_large` for a body that says itself that it is longer than `limit` bytes. */
export function checkLength(req: Request, limit: number | undefined): void {
  if (limit !== undefined && Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
}

/**
 * The request's body, which ends in `body_too_large` as soon as it is longer than `limit` bytes, and of which nothing goes on while the
 * passage is shut. A stream of its own: whoever is done with it early destroys it, and must not destroy the client's connection, which waits for the answer.
 */
export function limitedBody(req: Request, limit: number | undefined, passage: Passage): Readable {
  let length = 0
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.length
      if (limit !== undefined && length > limit) done(tooLarge(limit))
      else if (passage.isOpen()) done(null, chunk)
      else passage.wait().then(() => done(null, chunk), (refusal: unknown) => done(refusal instanceof Error ? refusal : new Error('refused')))
    },
  })
  body.on('error', () => undefined) // whoever sends it on hears of it; without a listener it would end the process
  req.once('error', (error) => body.destroy(error))
  return req.pipe(body)
}
