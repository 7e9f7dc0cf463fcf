import { reason } from '../../domain/reasons.js'
import type { Request } from 'express'
import { GatewayError, faultAt } from '../../errors.js'
import type { Answer } from './endpoint.js'

/** Most rows of a table, which is made in memory. */
export const mostCsvRows = 50_000

/** Returns whether a caller asked for a table: by `format=csv`, or by `Accept` without JSON. */
export function wantsCsv(req: Request, format: 'json' | 'csv' | undefined): boolean {
  return format === undefined ? /^\s*text\/csv\b/i.test(req.headers.accept ?? '') : format === 'csv'
}

/**
 * Where a cell, and with it a formula, begins for some program. Spreadsheets split lines at commas,
 * semicolons, tabs or bars, and some skip blanks and quotes. Full-width signs count, because some read them
 * as the others.
 */
const formula = /(^|[,;\t|\r\n"'])([ \u00a0]*)([=+\-@\uff1d\uff0b\uff0d\uff20])/g

/**
 * Adds an apostrophe before everything that some program would read as a formula, so that it is text (OWASP,
 * CSV Injection).
 */
const withoutFormulas = (text: string) => text.replace(formula, "$1$2'$3")

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return withoutFormulas(typeof value === 'string' ? value : JSON.stringify(value))
}

/** Returns a cell as RFC 4180 has it, also in quotes when another program would split it. */
function cell(value: unknown): string {
  const text = textOf(value)
  return /[",;\t|\r\n']|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** It tells spreadsheets that the text is UTF-8. */
const byteOrderMark = '\ufeff'

/** Returns a table of these columns, as a file `NAME.csv`. Throws `validation_failed` for too many rows. */
export function csvAnswer<Row extends object>(
  name: string,
  columns: readonly (keyof Row & string)[],
  rows: Row[],
): Answer {
  if (rows.length > mostCsvRows) {
    throw new GatewayError('validation_failed', 'The query is not valid', {
      errors: [faultAt('', reason('too_many_rows', { max: mostCsvRows }))],
    })
  }
  const lines = [
    columns.join(','),
    ...rows.map((row) => columns.map((column) => cell(row[column])).join(',')),
  ]
  return {
    status: 200,
    text: { type: 'text/csv', content: `${byteOrderMark}${lines.join('\r\n')}\r\n` },
    headers: { 'Content-Disposition': `attachment; filename="${name}.csv"` },
  }
}
