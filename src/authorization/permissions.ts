import type { Permission } from '../coherence/directory.js'
import { actions, type Level, type RuleContext } from '../domain/permissions.js'
import type { PrioritisedRule, RequestContext } from '../context/request-context.js'
import { RuleIndex } from './rule-index.js'

export type { Permission }

/** A permission, with the rules that it was merged from. */
export interface Decision {
  permission: Permission
  /**
   * The most specific rule of each role, among those of the highest priority. Merged field by field, they are
   * the permission.
   */
  deciding: PrioritisedRule[]
}

const reach: Record<Level, number> = { n: 0, m: 1, g: 2, a: 3 }
const nothing = (): Permission => ({ view: false, read: 'n', create: 'n', update: 'n', delete: 'n' })
const everything = (): Permission => ({ view: true, read: 'a', create: 'a', update: 'a', delete: 'a' })

/** Merges the rules about one item; the closest come first. */
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

/** Results live as long as the rules are remembered: a change of the rules makes another array. */
const indexes = new WeakMap<PrioritisedRule[], RuleIndex<Decision>>()

/**
 * Returns the permission that rules give for (context, item), with its reasons. The highest priority decides,
 * and within it the most permissive rule, field by field.
 */
export function decide(rules: PrioritisedRule[], context: RuleContext, item: string | null): Decision {
  let index = indexes.get(rules)
  if (!index) indexes.set(rules, (index = new RuleIndex<Decision>(rules)))
  return index.decide(context, item, merge)
}

/** Returns the permission that rules give for (context, item). */
export const permissionFrom = (
  rules: PrioritisedRule[],
  context: RuleContext,
  item: string | null,
): Permission => decide(rules, context, item).permission

/**
 * Returns what a context's user may do with (context, item), at once if the rules are remembered. A SysAdmin
 * may do everything; a PlatformAdmin only what rules say.
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
