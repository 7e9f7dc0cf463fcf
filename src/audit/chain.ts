import { createHash } from 'node:crypto'

/**
 * An event as it is sealed. Each column is in the database's own text form, so that nothing is lost between
 * it and the hash.
 */
export interface SealableEvent {
  seq: string
  id: string
  /** Seconds since 1970, to the microsecond. */
  occurredAt: string
  userId: string | null
  mandateId: string | null
  action: string
  requestId: string | null
  /** JSON, as the database prints it. */
  details: string
  /** The keyed hashes of the values about persons, as JSON. */
  personal: string
}

/** One link of the chain; hashes in hexadecimal. */
export interface Seal {
  /** 1, 2, 3 … */
  position: number
  seq: string
  content: string
  hash: string
}

/** The hash before the first link. */
export const genesis = '0'.repeat(64)

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** Returns the hash of an event's contents. */
export function contentOf({
  seq,
  id,
  occurredAt,
  userId,
  mandateId,
  action,
  requestId,
  details,
  personal,
}: SealableEvent): string {
  return sha256(
    JSON.stringify([
      'mandate-gateway audit event 1',
      seq,
      id,
      occurredAt,
      userId,
      mandateId,
      action,
      requestId,
      details,
      personal,
    ]),
  )
}

/** Returns the hash of a link: of the previous hash, its position and its content. */
export const linkOf = (before: string, position: number, content: string) =>
  sha256(`${before} ${position} ${content}`)

/** Returns the links of the events that follow `last`. */
export function sealEvents(
  last: Pick<Seal, 'position' | 'hash'> | undefined,
  events: SealableEvent[],
): Seal[] {
  let [position, hash] = [last?.position ?? 0, last?.hash ?? genesis]
  return events.map((event) => {
    const content = contentOf(event)
    position += 1
    hash = linkOf(hash, position, content)
    return { position, seq: event.seq, content, hash }
  })
}
