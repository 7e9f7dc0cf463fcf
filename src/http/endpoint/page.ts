import { fieldError, reason } from '../../domain/reasons.js'
import { z } from 'zod'
import { faultAt, GatewayError } from '../../errors.js'

const most = 200

/**
 * What every list is asked for: `limit` is cut to 200; `cursor` is what the page before answered as
 * `nextCursor`.
 */
export const pageFields = {
  limit: z
    .string()
    .regex(/^\d{1,15}$/, fieldError('whole_number'))
    .transform((value) => Math.min(Number(value), most))
    .refine((value) => value >= 1, fieldError('whole_number'))
    .default(50),
  cursor: z.string().max(2000).optional(),
}

/** The query of a list without filters. */
export const pageQuery = z.object(pageFields)

/** The schema of a page of `item`s. */
export const pageOf = (item: z.ZodType) =>
  z.strictObject({ items: z.array(item), nextCursor: z.string().nullable() })

/** The place in a list after which the next page begins, as the opaque text that callers hold. */
export const encodeCursor = (position: string) => Buffer.from(JSON.stringify(position)).toString('base64url')

const notOfThisList = (cause: unknown) =>
  new GatewayError('validation_failed', 'The query is not valid', {
    cause,
    errors: [faultAt('cursor', reason('cursor'))],
  })

/**
 * The position that `encodeCursor` hid, of that form. Throws `validation_failed` for a text that it did not
 * make.
 */
export function decodeCursor(cursor: string | undefined, form = /^[^\0]*$/): string | undefined {
  if (cursor === undefined) return undefined
  try {
    return z
      .string()
      .regex(form)
      .parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch (cause) {
    throw notOfThisList(cause)
  }
}

/** The place in a list that is sorted by several columns. */
export const positionOf = (...values: (string | null)[]) => JSON.stringify(values)

const positions = z.array(z.string().nullable())

/**
 * The values that `positionOf` made one of, for as many columns. Throws `validation_failed` for the cursor of
 * another list.
 */
export function decodePosition(cursor: string | undefined, columns: number): (string | null)[] | undefined {
  const position = decodeCursor(cursor)
  if (position === undefined) return undefined
  const values = z
    .preprocess((text) => {
      try {
        return JSON.parse(String(text)) as unknown
      } catch {
        return undefined // which is no array
      }
    }, positions.length(columns))
    .safeParse(position)
  if (!values.success) throw notOfThisList(values.error)
  return values.data
}

/** A page of `limit` out of rows that were asked for with one more than that. */
export function pageFrom<Row>(
  rows: Row[],
  limit: number,
  positionOf: (row: Row) => string,
): { items: Row[]; nextCursor: string | null } {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return {
    items,
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(positionOf(last)) : null,
  }
}

/** As `pageFrom`, of rows that say where they stand, which the page does not. */
export function positionedPage<Row extends { position: (string | null)[] }>(
  rows: Row[],
  limit: number,
): { items: Omit<Row, 'position'>[]; nextCursor: string | null } {
  const { items, nextCursor } = pageFrom(rows, limit, ({ position }) => positionOf(...position))
  return { items: items.map(({ position: _, ...row }) => row), nextCursor }
}
