import type { Values } from './connect.js'

/** What of a sorted list is asked for. */
export interface Page {
  /** The position that it begins after. */
  after: (string | null)[] | undefined
  atMost: number
}

/** A row with its place in the list that it is a row of. */
export type Positioned<Row> = Row & { position: string[] }

/** SQL with a `?` for each of the values. */
export type Condition = readonly [sql: string, ...values: Values]

/** Conditions that must all hold, as one, with the values in their order. What is undefined is not asked. */
export function allOf(conditions: readonly (Condition | undefined)[]): { sql: string; values: Values } {
  const asked = conditions.filter((one) => one !== undefined)
  return {
    sql: ['true', ...asked.map(([sql]) => `(${sql})`)].join(' and '),
    values: asked.flatMap(([, ...values]) => values),
  }
}

/** The condition, where there is a value to ask for. */
export function where(value: Values[number] | undefined, sql: string): Condition | undefined {
  return value === undefined ? undefined : [sql, value]
}

/**
 * The range of terms that begin with what was searched for, in any case: of the column `term`, which is
 * sorted by bytes.
 */
export const beginsWith = (column: string, search: string): Condition => [
  `${column} >= lower(?) and ${column} < lower(?) || chr(1114111)`,
  search,
  search,
]
