import { z } from 'zod'
import { languages } from '../domain/languages.js'
import { reason } from '../domain/reasons.js'
import { faultAt, GatewayError } from '../errors.js'
import { messageStates } from './message.js'
import type { Outbox } from './outbox.js'

/** How a link reaches a person: mailed to them, or answered to the caller, who passes it on. */
export type Deliver = 'mail' | 'link'

/** The fields of a body whose call answers a link. */
export const deliverFields = {
  deliver: z
    .enum(['mail', 'link'], 'must be mail or link')
    .optional()
    .meta({ description: 'by default mail, where there is a way to send messages and an address' }),
  language: z.enum(languages).optional().meta({ description: 'of the message' }),
}

/** How the message with a link fared; null where the link was answered. */
export const deliverySchema = z
  .strictObject({ status: z.enum(messageStates), at: z.iso.datetime(), error: z.string().nullable() })
  .nullable()

/**
 * Returns how a link is delivered. Throws `validation_failed` where it is to be mailed and there is no way out
 * or no address.
 */
export function chooseDelivery(
  { hasWayOut }: Pick<Outbox, 'hasWayOut'>,
  deliver: Deliver | undefined,
  email: string | null,
): Deliver {
  const canMail = hasWayOut && email !== null
  if (deliver === 'mail' && !canMail)
    throw new GatewayError('validation_failed', 'The body is not valid', {
      errors: [faultAt('deliver', reason(hasWayOut ? 'no_address' : 'no_way_out'))],
    })
  return deliver ?? (canMail ? 'mail' : 'link')
}
