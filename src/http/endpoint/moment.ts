import { fieldError } from '../../domain/reasons.js'
import { z } from 'zod'

/** A time in the form of RFC 3339. Parsing stops at the first invalid field, so later checks find a Date. */
export const moment = z.iso
  .datetime({ offset: true, abort: true, ...fieldError('time', { example: '2027-01-31T00:00:00Z' }) })
  .transform((text) => new Date(text))
