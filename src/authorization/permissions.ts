import type { Permission } from '../coherence/directory.js'
import { actions, type Level, type RuleContext } from '../domain/permissions.js'
import type { PrioritisedRule, RequestContext } from '../context/request-context.js'
import { RuleIndex } from './rule-index.js'

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** The level that the rules gave for what was asked. */
      accessLevel?: Level
    }
  }
}

export type { Permission }

/** A permission, with the rules that it was made of. */
export interface Decision {
  permission: Permission
  /**
   * Of each role the most specific rule, as far as it is of the highest priority: merged, field by field,
   * they are the permission.
   */
  deciding: PrioritisedRule[]
}

const reach: Record<Level, number> = { n: 0, m: 1, g: 2, a: 3 }
const nothing = (): Permission => ({ view: false, read: 'n', create: 'n', update: 'n', delete: 'n' })
const everything = (): Permission => ({ view: true, read: 'a', create: 'a', update: 'a', delete: 'a' })

/** What the rules about one item come to; they come closest first. */
function merge(closestFirst: PrioritisedRule[]): Decision {
  const closest = new Map<string, PrioritisedRule>()
  for (const entry of closestFirst) if (!closest.has(entry.rule.roleId)) closest.set(entry.rule.roleId, entry)
  let priority = 0
  for (const entry of closest.values()) priority = Math.max(priority, entry.priority)
  const deciding = [...closest.values()].filter((entry) => entry.priority === priority)
  const permission = nothing()
  for (const { rule } of deciding) {
    permission.view ||= rule.view
    for (const action of actions) {
      if (reach[rule[action]] > reach[permission[action]]) permission[action] = rule[action]
    }
  }
  return { permission, deciding }
}

/** What rules came to, for as long as they are remembered: a change of theirs makes another array. */
const indexes = new WeakMap<PrioritisedRule[], RuleIndex<Decision>>()

/**
 * The permission that rules give for (context, item), and why: the highest priority decides, within it the
 * most permissive, field by field.
 */
export function decide(rules: PrioritisedRule[], context: RuleContext, item: string | null): Decision {
  let index = indexes.get(rules)
  if (!index) indexes.set(rules, (index = new RuleIndex<Decision>(rules)))
  return index.decide(context, item, merge)
}

/** The permission that rules give for (context, item). */
export const permissionFrom = (
  rules: PrioritisedRule[],
  context: RuleContext,
  item: string | null,
): Permission => decide(rules, context, item).permission

/**
 * What a context's user may do with (context, item): at once where the rules are remembered. A SysAdmin may
 * do everything; a PlatformAdmin only what rules say.
 */
export function permissionIn(
  requestContext: RequestContext,
  context: RuleContext,
  item: string | null,
): Permission | Promise<Permission> {
  if (requestContext.isSysAdmin) return everything()
  const rules = requestContext.rules()
  return rules instanceof Promise
    ? rules.then((loaded) => permissionFrom(loaded, context, item))
    : permissionFrom(rules, context, item)
}
