import { type Reason } from '../domain/text-values.js'
import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { GatewayError, notFound, faultAt } from '../errors.js'

const printable = /^[^\p{Cc}\p{Zl}\p{Zp}]*$/u

/** A name or label as people write it, in one line. */
export const label = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(200)
  .regex(printable, fieldError('one_line'))

/** A short name for addresses and files; it is unique. */
export const slug = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?$/, fieldError('slug'))

export { username } from '../authentication/username.js'

export const id = z.uuid('must be a UUID').transform((value) => value.toLowerCase())

/** The short name of a feature. */
export const featureCode = z.string().regex(/^[A-Za-z0-9][\w.-]{0,99}$/, fieldError('feature_code'))

/** `q`: what names, and words of names, begin with. */
export const search = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(100)
  .regex(printable, fieldError('printable'))
  .optional()

/** A filter by yes or no. */
export const flag = z
  .enum(['true', 'false'], 'must be true or false')
  .transform((value) => value === 'true')
  .optional()

/** What is there, or `not_found`. */
export function found<Thing>(thing: Thing | undefined): Thing {
  if (thing === undefined) throw notFound()
  return thing
}

/** An input that is well formed and wrong all the same. */
export const invalid = (path: string, why: Reason) =>
  new GatewayError('validation_failed', 'The body is not valid', { errors: [faultAt(path, why)] })

/** Returns the fields that are not undefined. */
export const given = <Fields extends object>(change: Fields) =>
  Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]: Exclude<Fields[Name], undefined>
  }
