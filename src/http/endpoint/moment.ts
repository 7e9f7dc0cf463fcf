import { fieldError } from '../../domain/reasons.js'
import { z } from 'zod'

/**
 * A time as callers write one (RFC 3339). Of what is none nothing more is asked: later checks find a Date.
 */
export const moment = z.iso
  .datetime({ offset: true, abort: true, ...fieldError('time', { example: '2027-01-31T00:00:00Z' }) })
  .transform((text) => new Date(text))
