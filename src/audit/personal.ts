import { createHmac, randomBytes } from 'node:crypto'
import { isUuid } from '../domain/ids.js'
import type { AuditEvent } from './event.js'

/** A value about a person, kept beside its event so that it can be erased. */
export interface PersonalValue {
  /** Where it belongs in the event's details, such as `before.email`. */
  field: string
  /** Whose it is. */
  personId: string | null
  salt: string
  value: string
}

/**
 * An event as it is written: its details without what they said about persons, of which keyed hashes are
 * left.
 */
export interface SplitEvent {
  details: unknown
  hashes: Record<string, string>
  values: PersonalValue[]
}

/** Fields that say something about a person, by whatever name the gateway has for them. */
const personal = new Set(['username', 'email', 'fullName', 'address', 'userAgent', 'displayName', 'operator'])
/** Fields that no event may hold. */
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
 * The keyed hash of a personal value. Without the key, which is erased with the value, nobody can find out
 * what it was by trying.
 */
export const hashPersonal = (salt: string, value: string) =>
  createHmac('sha256', salt).update(value).digest('base64url')

/** What the database's JSON takes: it has no NUL, and no half of a pair of surrogates. */
const storable = (text: string) => text.replace(/[\0\p{Surrogate}]/gu, '\ufffd')

/**
 * Whose values `before` and `after` hold: the user's whom the event is about, else those of whoever did it.
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

/** Takes what an event says about persons out of its details, and leaves secrets out. */
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

/** Puts a value back where it was in an event's details. */
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
