import { z } from 'zod'
import { prepareUsername } from './precis.js'

/** Names that somebody logs in by: new ones are prepared (RFC 8265, UsernameCaseMapped). */
export const username = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\s\p{C}]+$/u, 'must not hold blanks or control characters')
  .refine((value) => value === value.toLowerCase(), 'must be in lower case')
  .refine(
    (value) => prepareUsername(value) !== undefined,
    'must hold letters and digits of one script, and ASCII punctuation (RFC 8265)',
  )
  .overwrite((value) => prepareUsername(value) ?? value)
