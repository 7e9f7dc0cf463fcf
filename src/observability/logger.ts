import { createLogger as createWinston, format, transports, type Logger as Winston } from 'winston'
import type { Config } from '../config.js'

export type Logger = Pick<Winston, 'error' | 'warn' | 'info' | 'debug'>

/** What may be told of an error in a log: its kind, message, code and stack, but not the values it carries (a failed statement's, a request's). */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error ? error.code : undefined
  // knex puts the statement with its values before the database's own words
  const message = error.message.split(' - ').at(-1) ?? ''
  return {
    name: error.name,
    message,
    ...(code === undefined ? {} : { code }),
    stack: error.stack?.split('\n').filter((line) => line.startsWith('    at ')).slice(0, 12).map((line) => line.trim()),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  }
}

const withErrors = format((info) => {
  if ('error' in info) info.error = describeError(info.error)
  return info
})

const pretty = format.printf(({ level, message, timestamp, ...rest }) => {
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return [String(timestamp), level, String(message), ...fields].join(' ')
})

/** The process's log, on standard output: JSON lines, or readable ones on a terminal. */
export function createLogger(config: Pick<Config, 'LOG_LEVEL' | 'LOG_FORMAT'>): Logger {
  const readable = (config.LOG_FORMAT ?? (process.stdout.isTTY ? 'pretty' : 'json')) === 'pretty'
  return createWinston({
    level: config.LOG_LEVEL,
    format: format.combine(withErrors(), format.timestamp(), readable ? pretty : format.json()),
    transports: [new transports.Stream({ stream: process.stdout })],
  })
}
