import { Transform, type Readable, type Writable } from 'node:stream'
import type { Request } from 'express'
import type { Passage } from '../coherence/streams.js'
import { GatewayError } from '../errors.js'
import type { UpstreamSettings } from './upstream-schema.js'

const tooLarge = (limit: number) =>
  new GatewayError('body_too_large', `The body is larger than ${limit} bytes`)

/** Throws `body_too_large` for a body that says itself that it is longer than `limit` bytes. */
export function checkLength(req: Request, limit: number | undefined): void {
  if (limit !== undefined && Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
}

const tooSlow = (bytesPerSecond: number) =>
  new GatewayError('request_malformed', `The body came more slowly than ${bytesPerSecond} bytes a second`)

/** What a body may be. */
interface Bounds {
  /** Bytes in all. */
  limit: number | undefined
  /** Only what the body says is counted, and only while the service takes it. */
  leastRate: UpstreamSettings['limits']['leastBodyRate']
}

/** Ends a body of which less came in a window than should have, though all that came was taken. */
function watchRate(
  body: Readable & Writable,
  lengthNow: () => number,
  { bytesPerSecond, windowMs }: Bounds['leastRate'],
): () => void {
  let [lengthBefore, wasHeldUp] = [0, false]
  const look = setInterval(() => {
    const isHeldUp = body.readableLength + body.writableLength > 0
    const length = lengthNow()
    if (!isHeldUp && !wasHeldUp && (length - lengthBefore) * 1000 < bytesPerSecond * windowMs)
      body.destroy(tooSlow(bytesPerSecond))
    lengthBefore = length
    wasHeldUp = isHeldUp
  }, windowMs).unref()
  return () => clearInterval(look)
}

/**
 * Returns the request's body. It ends in `body_too_large` as soon as it is longer than its limit, in
 * `request_malformed` when it comes too slowly, and nothing of it goes on while the passage is shut. A stream
 * of its own: whoever is done with it early destroys it, and must not destroy the client's connection, which
 * waits for the answer.
 */
export function limitedBody(req: Request, { limit, leastRate }: Bounds, passage: Passage): Readable {
  let length = 0
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.length
      if (limit !== undefined && length > limit) done(tooLarge(limit))
      else if (passage.isOpen()) done(null, chunk)
      else
        passage.wait().then(
          () => done(null, chunk),
          (refusal: unknown) => done(refusal instanceof Error ? refusal : new Error('refused')),
        )
    },
  })
  // whoever sends it on hears of it; without a listener it would end the process
  body.on('error', () => undefined)
  req.once('error', (error) => body.destroy(error))
  if (leastRate.bytesPerSecond > 0) {
    const stop = watchRate(body, () => length, leastRate)
    req.once('end', stop)
    body.once('close', stop)
  }
  return req.pipe(body)
}
