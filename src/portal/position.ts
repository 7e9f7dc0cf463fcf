import { reason } from '../domain/reasons.js'
import { uuidAndText } from '../domain/ids.js'
import { faultAt, GatewayError } from '../errors.js'
import { decodeCursor } from '../http/endpoint/page.js'

/** A place in a list that is sorted by some text and then by id. */
export interface Position {
  id: string
  by: string
}

/** A row's place, as the text that a cursor holds. */
export const positionOf = ({ id, by }: Position) => id + by

/** The place that a cursor names. Throws `validation_failed` for a cursor of another list. */
export function positionFrom(cursor: string | undefined): Position | undefined {
  const text = decodeCursor(cursor)
  if (text === undefined) return undefined
  const [, id, by] = uuidAndText.exec(text) ?? []
  if (id === undefined || by === undefined) {
    throw new GatewayError('validation_failed', 'The query is not valid', {
      errors: [faultAt('cursor', reason('cursor'))],
    })
  }
  return { id, by }
}
