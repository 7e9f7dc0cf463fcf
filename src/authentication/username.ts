import { z } from 'zod'

/** Names that somebody logs in by. */
export const username = z.string().min(1).max(256).regex(/^[^\s\p{C}]+$/u, 'must not hold blanks or control characters')
  .refine((value) => value === value.toLowerCase(), 'must be in lower case')
