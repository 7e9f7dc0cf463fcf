import type { Request } from 'express'
import { GatewayError } from '../errors.js'
import type { Answer } from './endpoint.js'

/** Rows that a table may have: it is made in memory. */
export const mostCsvRows = 50_000

/** Whether a caller asked for a table: by `format=csv`, or by `Accept` without a word of JSON. */
export function wantsCsv(req: Request, format: 'json' | 'csv' | undefined): boolean {
  return format === undefined ? /^\s*text\/csv\b/i.test(req.headers.accept ?? '') : format === 'csv'
}

/** RFC 4180; what a spreadsheet would take for a formula is put so that it takes it for text. */
function cell(value: unknown): string {
  const text = value === null || value === undefined ? '' : value instanceof Date ? value.toISOString() : typeof value === 'string' ? value.replace(/^(?=[=+\-@\t\r])/, "'") : JSON.stringify(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A table of these columns. Throws `validation_failed` where there are more rows than fit into one. */
export function csvAnswer<Row extends object>(columns: readonly (keyof Row & string)[], rows: Row[]): Answer {
  if (rows.length > mostCsvRows) {
    throw new GatewayError('validation_failed', 'The query is not valid', { errors: [{ path: '', message: `finds more than ${mostCsvRows} rows: narrow it` }] })
  }
  const lines = [columns.join(','), ...rows.map((row) => columns.map((column) => cell(row[column])).join(','))]
  return { status: 200, text: { type: 'text/csv', content: `${lines.join('\r\n')}\r\n` } }
}
