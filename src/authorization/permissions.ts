import type { Level, ScopedRule } from '../coherence/directory.js'
import type { PrioritisedRule, RequestContext } from '../context/request-context.js'

export type Action = 'read' | 'create' | 'update' | 'delete'
export type RuleContext = ScopedRule['context']

/** What somebody may do with an item: see it, and to how much of it each action reaches. */
export interface Permission extends Record<Action, Level> {
  view: boolean
}

const actions: readonly Action[] = ['read', 'create', 'update', 'delete']
const reach: Record<Level, number> = { n: 0, m: 1, g: 2, a: 3 }
const nothing = (): Permission => ({ view: false, read: 'n', create: 'n', update: 'n', delete: 'n' })
const everything = (): Permission => ({ view: true, read: 'a', create: 'a', update: 'a', delete: 'a' })

/** How closely a rule's item names the one asked for: its length, 0 for a rule about all, -1 for one about something else. */
function specificity(ruleItem: string | null, item: string | null): number {
  if (ruleItem === null) return 0
  if (item === null) return -1
  return item === ruleItem || item.startsWith(`${ruleItem}.`) ? ruleItem.length : -1
}

/** Of each role, its most specific rule about (context, item). */
function closestRules(rules: PrioritisedRule[], context: RuleContext, item: string | null): PrioritisedRule[] {
  const closest = new Map<string, { entry: PrioritisedRule; closeness: number }>()
  for (const entry of rules) {
    if (entry.rule.context !== context) continue
    const closeness = specificity(entry.rule.item, item)
    if (closeness > (closest.get(entry.rule.roleId)?.closeness ?? -1)) closest.set(entry.rule.roleId, { entry, closeness })
  }
  return [...closest.values()].map(({ entry }) => entry)
}

/** The permission that rules give for (context, item): the highest priority decides, within it the most permissive, field by field. */
export function permissionFrom(rules: PrioritisedRule[], context: RuleContext, item: string | null): Permission {
  const closest = closestRules(rules, context, item)
  const priority = Math.max(...closest.map((entry) => entry.priority))
  const permission = nothing()
  for (const { rule } of closest.filter((entry) => entry.priority === priority)) {
    permission.view ||= rule.view
    for (const action of actions) {
      if (reach[rule[action]] > reach[permission[action]]) permission[action] = rule[action]
    }
  }
  return permission
}

/**
 * What a context's user may do with (context, item): at once where the rules are remembered. A SysAdmin may do
 * everything; a PlatformAdmin only what rules say.
 */
export function permissionIn(requestContext: RequestContext, context: RuleContext, item: string | null): Permission | Promise<Permission> {
  if (requestContext.isSysAdmin) return everything()
  const rules = requestContext.rules()
  return rules instanceof Promise
    ? rules.then((loaded) => rememberedPermission(loaded, context, item))
    : rememberedPermission(rules, context, item)
}

/** What rules came to, for as long as they are remembered. */
const remembered = new WeakMap<PrioritisedRule[], Map<string, Permission>>()
/** Callers may ask about any item; routes ask about few. */
const maxRemembered = 100

function rememberedPermission(rules: PrioritisedRule[], context: RuleContext, item: string | null): Permission {
  let permissions = remembered.get(rules)
  if (!permissions) remembered.set(rules, permissions = new Map<string, Permission>())
  const subject = `${context} ${item ?? ''}`
  let permission = permissions.get(subject)
  if (!permission) {
    permission = permissionFrom(rules, context, item)
    if (permissions.size < maxRemembered) permissions.set(subject, permission)
  }
  return permission
}
