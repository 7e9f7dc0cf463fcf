import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'

/** A user as the one who is signed in sees themself. */
export const userSchema = z
  .strictObject({
    id: z.uuid(),
    username: z.string(),
    email: z.string().nullable(),
    fullName: z.string().nullable(),
    isSysAdmin: z.boolean(),
    isPlatformAdmin: z.boolean(),
  })
  .meta({ id: 'User' })

/** A name as somebody types it; Postgres text holds no NUL. */
export const usernameInput = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\0]*$/, fieldError('nul_character'))
