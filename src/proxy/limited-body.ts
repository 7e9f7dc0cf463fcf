import { Transform, type Readable, type Writable } from 'node:stream'
import type { Request } from 'express'
import type { Passage } from '../coherence/streams.js'
import { GatewayError } from '../errors.js'
import type { UpstreamSettings } from './upstream-schema.js'

const tooLarge = (limit: number) =>
  new GatewayError('body_too_large', `The body is larger than ${limit} bytes`)

/** Throws `body_too_large` for a body whose own length is over `limit` bytes. */
export function checkLength(req: Request, limit: number | undefined): void {
  if (limit !== undefined && Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
}

const tooSlow = (bytesPerSecond: number) =>
  new GatewayError('request_malformed', `The body came more slowly than ${bytesPerSecond} bytes a second`)

/** The limits of a body. */
interface Bounds {
  /** Bytes in all. */
  limit: number | undefined
  /** Only time in which the service accepts data counts. */
  leastRate: UpstreamSettings['limits']['leastBodyRate']
}

/** Ends a body that was too slow in a window, although everything that came was taken. */
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
 * Returns the request's body as its own stream. It ends with `body_too_large` past its limit, and with
 * `request_malformed` when it comes too slowly. Nothing passes while the passage is shut. A consumer that is
 * done early destroys this stream, and not the client's connection, which waits for the response.
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
  // the sender receives it; without a listener it would end the process
  body.on('error', () => undefined)
  req.once('error', (error) => body.destroy(error))
  if (leastRate.bytesPerSecond > 0) {
    const stop = watchRate(body, () => length, leastRate)
    req.once('end', stop)
    body.once('close', stop)
  }
  return req.pipe(body)
}
