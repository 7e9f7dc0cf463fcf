import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { prepareUsername } from './precis.js'

/** Names that somebody logs in by: new ones are prepared (RFC 8265, UsernameCaseMapped). */
export const username = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\s\p{C}]+$/u, fieldError('blanks'))
  .refine((value) => value === value.toLowerCase(), fieldError('lower_case'))
  .refine((value) => prepareUsername(value) !== undefined, fieldError('one_script'))
  .overwrite((value) => prepareUsername(value) ?? value)
