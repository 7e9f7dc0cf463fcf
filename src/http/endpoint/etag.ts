import { reason } from '../../domain/reasons.js'
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { GatewayError, faultAt } from '../../errors.js'

/**
 * Returns a strong validator (RFC 9110 §8.8.3) of a representation. It is the same as long as the
 * representation is.
 */
export function etagOf(representation: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(representation)).digest('base64url').slice(0, 22)}"`
}

/**
 * Refuses an edit whose `If-Match` (RFC 9110 §13.1.1) does not match the current state, so that two people do
 * not overwrite each other. `current` is the response of a GET, read in the transaction that changes it.
 * Without the header nothing is refused. Throws `changed_meanwhile`.
 */
export function checkIfMatch(req: Pick<IncomingMessage, 'headers'>, current: unknown): void {
  const wanted = req.headers['if-match']
  if (wanted === undefined || wanted.trim() === '*') return
  const tag = etagOf(current)
  if (wanted.split(',').some((one) => one.trim() === tag)) return
  throw new GatewayError(
    'changed_meanwhile',
    'Somebody else has changed this since you read it. Read it again, then repeat your change.',
    { headers: { ETag: tag } },
  )
}

/**
 * Refuses an `If-Match` that cannot be checked, because the changed thing has no validator (RFC 9110 §13.1.1:
 * a condition must not be ignored).
 */
export function refuseIfMatch(req: IncomingMessage): void {
  const wanted = req.headers['if-match']
  if (wanted === undefined || wanted.trim() === '*') return
  throw new GatewayError('validation_failed', 'The request is not valid', {
    errors: [faultAt('If-Match', reason('no_etag'))],
  })
}
