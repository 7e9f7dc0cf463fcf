import { ConfigError } from '../config.js'
import { sqlState } from '../database/directory-error.js'
import { GatewayError } from '../errors.js'
import { exitCodes } from '../domain/exit-codes.js'
import type { CommandResult } from './routes-command.js'

/** What a command has to say: one JSON object, or lines. */
export function said(exitCode: number, json: boolean, value: unknown, lines: string[]): CommandResult {
  return {
    exitCode,
    stdout: json ? `${JSON.stringify(value, undefined, 2)}\n` : lines.map((line) => `${line}\n`).join(''),
    stderr: '',
  }
}

/**
 * undefined_table, undefined_column, invalid_schema_name: there is a database, and not yet this version's.
 */
const notMigrated = new Set(['42P01', '42703', '3F000'])

/** Returns whether the database lacks tables of this version. */
export function isNotMigrated(error: unknown): boolean {
  if (
    !(error instanceof GatewayError) ||
    error.code !== 'directory_unavailable' ||
    !(error.cause instanceof Error)
  )
    return false
  return 'code' in error.cause && typeof error.cause.code === 'string' && notMigrated.has(error.cause.code)
}

/** The database's own words without the statement, which knex puts before them with its values. */
function causeOf(error: GatewayError): string {
  const { code, cause } = error
  if (code !== 'directory_unavailable' || !(cause instanceof Error)) return ''
  if (isNotMigrated(error))
    return ' The database lacks tables of this version: mandate-gateway migrate makes them.'
  return ` (${cause.message.split(' - ').at(-1) ?? ''})`
}

/**
 * SQLSTATE classes of what the database refuses as it stands: values, rows that contradict each other,
 * permissions, unknown names (0A, 21 to 23, 42, 44). Repeating it helps nobody. All others, among them 08
 * (connection), 53 (resources) and 57 (operator), and the network's errors, are outages.
 */
const refusals = /^(?:0A|2[123]|42|44)/

/** Returns why the database refused what a command wrote; undefined where it could not be asked. */
function refusalOf({ code, cause }: GatewayError): string | undefined {
  const state = sqlState(cause)
  if (
    code !== 'directory_unavailable' ||
    !(cause instanceof Error) ||
    state === undefined ||
    !refusals.test(state)
  )
    return undefined
  return `The database refused this: ${cause.message.split(' - ').at(-1) ?? ''} (SQLSTATE ${state}). Repeating it does not help: correct what it names.`
}

function wordsOf(error: unknown): string {
  if (error instanceof GatewayError) {
    const refusal = isNotMigrated(error) ? undefined : refusalOf(error)
    if (refusal !== undefined) return refusal
    const faults = error.errors?.map(({ path, message }) => `\n  ${path}: ${message}`).join('') ?? ''
    return error.detail + causeOf(error) + faults
  }
  return error instanceof Error ? error.message : String(error)
}

/** What a command could not do, in words for whoever called it. */
export function failed(error: unknown): CommandResult {
  return {
    exitCode: error instanceof ConfigError ? exitCodes.configuration : exitCodes.no,
    stdout: '',
    stderr: `${wordsOf(error)}\n`,
  }
}
