import { createHmac, randomBytes } from 'node:crypto'
import { isUuid } from '../domain/ids.js'
import type { AuditEvent } from './event.js'

/** A value about a person. It is stored beside its event, so that it can be erased. */
export interface PersonalValue {
  /** Its path in the event's details, such as `before.email`. */
  field: string
  /** The id of the person. */
  personId: string | null
  salt: string
  value: string
}

/** An event as it is stored. Its details hold keyed hashes in place of values about persons. */
export interface SplitEvent {
  details: unknown
  hashes: Record<string, string>
  values: PersonalValue[]
}

/** Names of fields that hold values about persons. */
const personal = new Set(['username', 'email', 'fullName', 'address', 'userAgent', 'displayName', 'operator'])
/** Names of fields that no event may hold. */
const secret = new Set([
  'password',
  'passwordHash',
  'secret',
  'clientSecret',
  'token',
  'tokenHash',
  'accessToken',
  'refreshToken',
  'authorization',
  'cookie',
])
const deepest = 16

/**
 * Returns the keyed hash of a personal value. The key is erased with the value, so that nobody can find the
 * value by guessing.
 */
export const hashPersonal = (salt: string, value: string) =>
  createHmac('sha256', salt).update(value).digest('base64url')

/** Returns a text that the database's JSON takes: without NUL and without half surrogate pairs. */
const storable = (text: string) => text.replace(/[\0\p{Surrogate}]/gu, '\ufffd')

/**
 * Returns the person whose values `before` and `after` hold: the user whom the event is about, else its
 * actor.
 */
function personOf({ userId, details }: AuditEvent): string | null {
  const { subject, before, after } = details as Record<string, unknown>
  const named = typeof subject === 'string' && subject.startsWith('user:') ? subject.slice(5) : undefined
  const ids = [
    named,
    ...[after, before].map((state) =>
      typeof state === 'object' && state !== null && 'userId' in state ? state.userId : undefined,
    ),
  ]
  return ids.find((id): id is string => typeof id === 'string' && isUuid(id)) ?? userId
}

/** Splits an event: takes values about persons out of its details, and drops secrets. */
export function splitEvent(event: AuditEvent): SplitEvent {
  const [hashes, values, subject]: [SplitEvent['hashes'], PersonalValue[], string | null] = [
    {},
    [],
    personOf(event),
  ]
  const take = (field: string, value: string) => {
    const salt = randomBytes(16).toString('base64url')
    hashes[field] = hashPersonal(salt, value)
    values.push({ field, personId: /^(before|after)\./.test(field) ? subject : event.userId, salt, value })
  }
  const walk = (value: unknown, path: string, depth: number): unknown => {
    if (typeof value === 'string') return storable(value)
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof Date) return value.toISOString()
    if (depth > deepest) return '[too deep]'
    if (Array.isArray(value)) return value.map((one, index) => walk(one, `${path}${index}.`, depth + 1))
    const kept: [string, unknown][] = []
    for (const [name, inner] of Object.entries(value)) {
      const key = storable(name)
      if (secret.has(key)) kept.push([key, '[secret]'])
      else if (personal.has(key) && typeof inner === 'string') take(path + key, storable(inner))
      else kept.push([key, walk(inner, `${path}${key}.`, depth + 1)])
    }
    return Object.fromEntries(kept)
  }
  return { details: walk(event.details, '', 0), hashes, values }
}

/** Puts a value back to its path in an event's details. */
export function putBack(details: unknown, field: string, value: unknown): void {
  const path = field.split('.')
  const last = path.pop() ?? ''
  let place = details
  for (const step of path)
    place =
      typeof place === 'object' && place !== null && Object.hasOwn(place, step)
        ? (place as Record<string, unknown>)[step]
        : undefined
  if (typeof place === 'object' && place !== null)
    Object.defineProperty(place, last, { value, enumerable: true, writable: true, configurable: true })
}
