import { fieldError, reason } from '../../domain/reasons.js'
import { z } from 'zod'
import { faultAt, GatewayError } from '../../errors.js'

const most = 200

/**
 * The parameters of every list: `limit` is at most 200; `cursor` is the `nextCursor` of the previous page.
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

/** Returns the position after which the next page begins, as an opaque text for callers. */
export const encodeCursor = (position: string) => Buffer.from(JSON.stringify(position)).toString('base64url')

const notOfThisList = (cause: unknown) =>
  new GatewayError('validation_failed', 'The query is not valid', {
    cause,
    errors: [faultAt('cursor', reason('cursor'))],
  })

/**
 * Returns the position in a cursor, if it has that form. Throws `validation_failed` for a text that
 * `encodeCursor` did not make.
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

/** Returns a position in a list that is sorted by several columns. */
export const positionOf = (...values: (string | null)[]) => JSON.stringify(values)

const positions = z.array(z.string().nullable())

/**
 * Returns the values that `positionOf` was given, for as many columns. Throws `validation_failed` for the
 * cursor of another list.
 */
export function decodePosition(cursor: string | undefined, columns: number): (string | null)[] | undefined {
  const position = decodeCursor(cursor)
  if (position === undefined) return undefined
  const values = z
    .preprocess((text) => {
      try {
        return JSON.parse(String(text)) as unknown
      } catch {
        return undefined // not an array
      }
    }, positions.length(columns))
    .safeParse(position)
  if (!values.success) throw notOfThisList(values.error)
  return values.data
}

/** Returns a page of `limit` rows. The query must have asked for one row more. */
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

/** Like `pageFrom`, for rows that hold their position. The page does not show it. */
export function positionedPage<Row extends { position: (string | null)[] }>(
  rows: Row[],
  limit: number,
): { items: Omit<Row, 'position'>[]; nextCursor: string | null } {
  const { items, nextCursor } = pageFrom(rows, limit, ({ position }) => positionOf(...position))
  return { items: items.map(({ position: _, ...row }) => row), nextCursor }
}
