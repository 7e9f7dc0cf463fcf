import { z } from 'zod'
import { isRange } from '../domain/address-ranges.js'
import { askedFactors } from '../domain/assurance-policy.js'
import { actions, ruleContexts } from '../domain/permissions.js'
import { fieldError } from '../domain/reasons.js'

/** Entries that each list of a policy may have. */
const longest = 100

const factor = z.enum(askedFactors, fieldError('asked_factor')).nullable()
const seconds = z.int(fieldError('policy_seconds')).min(60, fieldError('policy_seconds')).nullable()
const addresses = z
  .array(z.string().refine(isRange, fieldError('address_range')))
  .max(longest, fieldError('too_many', { max: longest }))

const item = z.strictObject({
  context: z.enum(ruleContexts, 'must be DATA, UI or RESOURCE'),
  item: z
    .string()
    .max(500)
    .regex(/^[\w-]+(\.[\w-]+)*$/, fieldError('item', { example: 'crm.contacts' }))
    .nullable()
    .default(null)
    .meta({ description: 'with all under it; null: every item of the context' }),
  actions: z
    .array(z.enum(actions, 'must be read, create, update or delete'))
    .min(1)
    .nullable()
    .default(null)
    .meta({ description: 'null: every action' }),
  factor: factor.default(null),
  maxAge: seconds.default(null),
})

/** The fields of an area's policy. */
export const areaPolicyFields = { factor, maxAge: seconds, addresses }

/** The fields of a mandate's policy. */
export const mandatePolicyFields = {
  factor,
  maxAge: seconds,
  idle: seconds,
  sessionAge: seconds,
  addresses,
  items: z.array(item).max(longest, fieldError('too_many', { max: longest })),
}

/** A stored policy may hold what other tools wrote: it is shown as it is. */
const shownSeconds = z.int().nullable()
const shownItem = z.strictObject({
  context: z.enum(ruleContexts),
  item: z.string().nullable(),
  actions: z.array(z.enum(actions)).nullable(),
  factor,
  maxAge: z.number().nullable(),
})

/** The fields of an area's policy, as it is shown. */
export const shownAreaFields = { factor, maxAge: shownSeconds, addresses: z.array(z.string()) }

/** The fields of a mandate's policy, as it is shown. */
export const shownMandateFields = {
  ...shownAreaFields,
  idle: shownSeconds,
  sessionAge: shownSeconds,
  items: z.array(shownItem),
}

/** Who would be refused under a policy. */
export const refusedSchema = z
  .strictObject({
    sessions: z.int(),
    members: z.int(),
    items: z.array(
      z.strictObject({
        userId: z.uuid(),
        username: z.string(),
        missing: z.array(z.enum(['session', 'idle', 'factor', 'age'])),
        enrolled: z.boolean().meta({ description: 'false: no factor of theirs would do' }),
      }),
    ),
  })
  .meta({ id: 'RefusedByPolicy' })
