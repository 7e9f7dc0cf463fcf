import { z } from 'zod'
import { addressesIn } from './address-ranges.js'
import { actions, ruleContexts, type Action, type RuleContext } from './permissions.js'

/** The factors that a place may ask for, the least first: any second factor, or one that resists phishing. */
export const askedFactors = ['mfa', 'phr'] as const
export type AskedFactor = (typeof askedFactors)[number]

/** The operators' areas that have a policy: everything under `/admin` and under `/system`. */
export const policyAreas = ['admin', 'system'] as const
export type PolicyArea = (typeof policyAreas)[number]

/** What a place asks of the proof of a session. */
export interface Demand {
  /** Null where any proof will do. */
  factor: AskedFactor | null
  /** Greatest age of that proof in seconds; null where it does not matter. */
  maxAge: number | null
}

/** What the actions on an item ask. */
export interface ItemDemand extends Demand {
  context: RuleContext
  /** A dotted path, with all under it; null for every item of the context. */
  item: string | null
  /** Null for every action. */
  actions: readonly Action[] | null
}

/** The policy of an area. It asks nothing where all is null or empty. */
export interface AreaPolicy extends Demand {
  /** The ranges of addresses from which requests may come; none: from everywhere. */
  addresses: readonly string[]
}

/** The policy of a mandate. */
export interface MandatePolicy extends AreaPolicy {
  /** Seconds after the last use or proof; null where it does not matter. */
  idle: number | null
  /** Greatest age of the session in seconds; null where it does not matter. */
  sessionAge: number | null
  items: readonly ItemDemand[]
}

/** A policy that asks something, ready to judge requests by. */
export interface CompiledPolicy extends MandatePolicy {
  /** Whether an address may enter; undefined: each may. */
  admits: ((address: string) => boolean) | undefined
  /** Whether the stored items could not be read. Nobody may pass then. */
  isUnreadable: boolean
}

/** What asks nothing. */
export const noPolicy: MandatePolicy = {
  factor: null,
  maxAge: null,
  idle: null,
  sessionAge: null,
  addresses: [],
  items: [],
}

const storedItems = z.array(
  z.object({
    context: z.enum(ruleContexts),
    item: z.string().nullable().default(null),
    actions: z.array(z.enum(actions)).nullable().default(null),
    factor: z.enum(askedFactors).nullable().default(null),
    maxAge: z.number().nullable().default(null),
  }),
)

/** Returns the items of a stored policy; undefined where they cannot be read. */
export function readItems(stored: unknown): ItemDemand[] | undefined {
  const parsed = storedItems.safeParse(stored)
  return parsed.success ? parsed.data : undefined
}

/** Returns a stored policy ready to judge by; undefined where it asks nothing. `items` is as stored. */
export function compilePolicy({
  items: stored,
  ...policy
}: Omit<MandatePolicy, 'items'> & { items: unknown }): CompiledPolicy | undefined {
  const items = readItems(stored)
  const { factor, maxAge, idle, sessionAge, addresses } = policy
  const asksNothing =
    [factor, maxAge, idle, sessionAge].every((one) => one === null) &&
    addresses.length === 0 &&
    items?.length === 0
  if (asksNothing) return undefined
  return {
    ...policy,
    items: items ?? [],
    admits: addresses.length === 0 ? undefined : addressesIn(addresses),
    isUnreadable: items === undefined,
  }
}
