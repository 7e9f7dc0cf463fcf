import { Writable } from 'node:stream'
import { createLogger as createWinston, format, transports, type Logger as Winston } from 'winston'
import type { Config } from '../config.js'
import type { Output } from './buffered-output.js'
import type { AccessLine, LogRequest } from './access-line.js'
import { keepRecentLines, levels, type Level, type RecentLines } from './recent-lines.js'

export type Logger = Pick<Winston, 'error' | 'warn' | 'info' | 'debug'>

/**
 * Returns the parts of an error that a log may contain: its kind, message, code and stack. It leaves out the
 * values that the error carries, such as those of a failed statement.
 */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error ? error.code : undefined
  // knex puts the statement with its values before the database's own words
  const message = error.message.split(' - ').at(-1) ?? ''
  return {
    name: error.name,
    message,
    ...(code === undefined ? {} : { code }),
    stack: error.stack
      ?.split('\n')
      .filter((line) => line.startsWith('    at '))
      .slice(0, 12)
      .map((line) => line.trim()),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  }
}

const withErrors = format((info) => {
  if ('error' in info) info.error = describeError(info.error)
  return info
})

const pretty = format.printf(({ level, message, timestamp, ...rest }) => {
  const fields = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return [String(timestamp), level, String(message), ...fields].join(' ')
})

/**
 * The process's log: its lines, and the lines of requests, which are many and are made with as little as
 * possible.
 */
export interface Log {
  logger: Logger
  logRequest: LogRequest
  recent: Pick<RecentLines, 'find'>
  /** What is written: lines of this level, and graver ones. */
  level: () => Level
  setLevel: (level: Level) => void
}

const isReadable = (config: Pick<Config, 'LOG_FORMAT'>) =>
  (config.LOG_FORMAT ?? (process.stdout.isTTY ? 'pretty' : 'json')) === 'pretty'

const levelOf = (name: string): Level => levels.find((level) => level === name) ?? 'info'

/** Keeps the lines in their final form, after secrets have been removed. */
const remembered = (recent: RecentLines) =>
  format(({ level, message, timestamp, ...fields }) => {
    recent.add({ timestamp: String(timestamp), level: levelOf(level), message: String(message), fields })
    return { level, message, timestamp, ...fields }
  })

/** Writes the log to `output`: JSON lines, or readable ones on a terminal. */
export function createLog(config: Pick<Config, 'LOG_LEVEL' | 'LOG_FORMAT'>, output: Output): Log {
  const readable = isReadable(config)
  const recent = keepRecentLines()
  const stream = new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, done) => {
      output.write(line)
      done()
    },
  })
  const logger = createWinston({
    level: config.LOG_LEVEL,
    format: format.combine(
      withErrors(),
      format.timestamp(),
      remembered(recent)(),
      readable ? pretty : format.json(),
    ),
    transports: [new transports.Stream({ stream })],
  })
  return {
    logger,
    logRequest: (line) => {
      if (!logger.isLevelEnabled('info')) return
      recent.addRequest(line)
      output.write(readable ? prettyLine(line) : jsonLine(line))
    },
    recent,
    level: () => levelOf(logger.level),
    setLevel: (level) => {
      logger.level = level
    },
  }
}

/**
 * Everything in it is a number, a word of ours, an id or a method: nothing needs escaping but the route's
 * pattern.
 */
function jsonLine({
  requestId,
  method,
  route,
  status,
  ms,
  user,
  mandate,
  granted,
  reason,
  watched,
  aborted,
}: AccessLine): string {
  return (
    `{"timestamp":"${new Date().toISOString()}","level":"info","message":"request",` +
    `"requestId":"${requestId}","method":"${method}","route":${route === null ? 'null' : JSON.stringify(route)}` +
    `,"status":${status},"ms":${ms}${user === undefined ? '' : `,"user":"${user}"`}` +
    (mandate === undefined ? '' : `,"mandate":"${mandate}"`) +
    `,"granted":${granted ? 'true' : 'false'}${reason === undefined ? '' : `,"reason":"${reason}"`}` +
    `${watched === undefined ? '' : `,"watched":"${watched}"`}${aborted ? ',"aborted":true' : ''}}\n`
  )
}

function prettyLine({
  requestId,
  method,
  route,
  status,
  ms,
  user,
  mandate,
  reason,
  watched,
  aborted,
}: AccessLine): string {
  return (
    `${new Date().toISOString()} info ${method} ${route ?? '-'} ${status} ${ms} ms` +
    `${reason === undefined ? '' : ` ${reason}`}${watched === undefined ? '' : ` watched=${watched}`}` +
    `${user === undefined ? '' : ` user=${user}`}${mandate === undefined ? '' : ` mandate=${mandate}`}` +
    `${aborted ? ' aborted' : ''} id=${requestId}\n`
  )
}
