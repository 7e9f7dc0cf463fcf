import { authorities } from '../../domain/authorities.js'
import { ruleContexts, levels } from '../../domain/permissions.js'
import { isUuid } from '../../domain/ids.js'
import { isCheckableHash } from '../../login/password.js'

/** A value that the database takes as it is. */
export type Value = string | boolean | null

const longestText = 1000
/** 1973 in milliseconds, the year 5138 in seconds. */
const millisecondsFrom = 1e11

/** Throws what is wrong with a value, without the value: it may be a secret. */
class ValueFault extends Error {}
const fault = (message: string): never => {
  throw new ValueFault(message)
}

const words: Record<string, boolean> = {
  true: true,
  t: true,
  yes: true,
  y: true,
  1: true,
  false: false,
  f: false,
  no: false,
  n: false,
  0: false,
}

function oneOf(...values: string[]) {
  return (text: string) =>
    values.find((value) => value.toLowerCase() === text.toLowerCase()) ??
    fault(`must be one of ${values.join(', ')}`)
}

function plainText(text: string, longest = longestText): string {
  if (text.includes('\0')) fault('holds a NUL character')
  return text.length <= longest ? text : fault(`is longer than ${longest} characters`)
}

/** A time as ISO 8601 has it, or as seconds or milliseconds since 1970. */
function timeOf(text: string): string {
  const number = Number(text)
  const isDay = /^\d{4}-\d\d-\d\d/.test(text)
  const at = isDay
    ? Date.parse(
        /[zZ]$|[+-]\d\d:?\d\d$/.test(text) ? text : `${text.replace(' ', 'T')}${text.length > 10 ? 'Z' : ''}`,
      )
    : number >= millisecondsFrom
      ? number
      : number * 1000
  return Number.isFinite(at) && Math.abs(at) < 8.64e15
    ? new Date(at).toISOString()
    : fault('must be a time such as 2026-01-31T08:00:00Z, or seconds since 1970')
}

const readers = {
  uuid: (text: string) => (isUuid(text) ? text.toLowerCase() : fault('must be a UUID')),
  text: (text: string) => plainText(text),
  slug: (text: string) => plainText(text, 100),
  username: (text: string) =>
    /^\P{Cc}{1,256}$/u.test(text) ? text : fault('must have 1 to 256 characters, and no control characters'),
  hash: (text: string) =>
    isCheckableHash(text)
      ? text
      : fault(
          'is no bcrypt or argon2 hash that can be checked here. Leave it empty, and send a link to a first password',
        ),
  boolean: (text: string) => words[text.toLowerCase()] ?? fault('must be true or false'),
  time: timeOf,
  level: oneOf(...levels),
  context: oneOf(...ruleContexts),
  authority: oneOf(...authorities),
  purpose: oneOf('auth_session', 'api_token', 'data_connection'),
  status: oneOf('active', 'revoked'),
} satisfies Record<string, (text: string) => string | boolean>

export type ValueType = keyof typeof readers

/** A value of a driver or a file as text; null where there is none. */
function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? fault('must be a time') : value.toISOString()
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  return JSON.stringify(value)
}

/** Returns a value of the old side as ours, or what is wrong with it. An empty text is no value. */
export function readValue(type: ValueType, value: unknown): { value: Value } | { fault: string } {
  try {
    const text = textOf(value)
    return { value: text === null || text === '' ? null : readers[type](text) }
  } catch (error) {
    if (error instanceof ValueFault) return { fault: error.message }
    throw error
  }
}
