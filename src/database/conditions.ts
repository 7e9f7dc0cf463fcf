import type { Values } from './connect.js'

/** Which part of a sorted list is asked for. */
export interface Page {
  /** The position after which it begins. */
  after: (string | null)[] | undefined
  atMost: number
}

/** A row with its position in the list. */
export type Positioned<Row> = Row & { position: string[] }

/** SQL with a `?` for each of the values. */
export type Condition = readonly [sql: string, ...values: Values]

/** Joins conditions that must all hold, with their values in order. Undefined conditions are left out. */
export function allOf(conditions: readonly (Condition | undefined)[]): { sql: string; values: Values } {
  const asked = conditions.filter((one) => one !== undefined)
  return {
    sql: ['true', ...asked.map(([sql]) => `(${sql})`)].join(' and '),
    values: asked.flatMap(([, ...values]) => values),
  }
}

/** Returns the condition, if there is a value for it. */
export function where(value: Values[number] | undefined, sql: string): Condition | undefined {
  return value === undefined ? undefined : [sql, value]
}

/**
 * Returns the condition for terms that begin with the search text, in any case. The column `term` is sorted
 * by bytes.
 */
export const beginsWith = (column: string, search: string): Condition => [
  `${column} >= lower(?) and ${column} < lower(?) || chr(1114111)`,
  search,
  search,
]
