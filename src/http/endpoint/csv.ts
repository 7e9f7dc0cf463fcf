import { reason } from '../../domain/reasons.js'
import type { Request } from 'express'
import { GatewayError, faultAt } from '../../errors.js'
import type { Answer } from './endpoint.js'

/** Rows that a table may have: it is made in memory. */
export const mostCsvRows = 50_000

/** Whether a caller asked for a table: by `format=csv`, or by `Accept` without a word of JSON. */
export function wantsCsv(req: Request, format: 'json' | 'csv' | undefined): boolean {
  return format === undefined ? /^\s*text\/csv\b/i.test(req.headers.accept ?? '') : format === 'csv'
}

/**
 * Where a cell begins for some reader, and with it a formula: spreadsheets split lines at commas, semicolons,
 * tabs or bars, whatever the file uses, and some pass over blanks and quotes. Full-width signs count, because
 * some take them for the others.
 */
const formula = /(^|[,;\t|\r\n"'])([ \u00a0]*)([=+\-@\uff1d\uff0b\uff0d\uff20])/g

/**
 * Puts an apostrophe before everything that some reader would take for a formula, so that it is text (OWASP,
 * CSV Injection).
 */
const withoutFormulas = (text: string) => text.replace(formula, "$1$2'$3")

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return withoutFormulas(typeof value === 'string' ? value : JSON.stringify(value))
}

/** A cell as RFC 4180 has it, in quotes also where another reader than that would split it. */
function cell(value: unknown): string {
  const text = textOf(value)
  return /[",;\t|\r\n']|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** By it spreadsheets see that the text is UTF-8. */
const byteOrderMark = '\ufeff'

/**
 * Returns a table of these columns, as a file `NAME.csv`. Throws `validation_failed` where there are more
 * rows than fit into one.
 */
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
