import type { ScopedRule } from '../coherence/directory.js'
import type { PrioritisedRule } from './request-context.js'

function priorityOf(
  rule: ScopedRule,
  mandateId: string,
  instanceId: string | null,
): PrioritisedRule['priority'] | undefined {
  if (rule.roleMandateId === null && rule.roleInstanceId === null) return 1
  if (rule.roleMandateId !== mandateId) return undefined
  if (rule.roleInstanceId === null) return 2
  return rule.roleInstanceId === instanceId ? 3 : undefined
}

/** Results about an array of rules live as long as the array. Coherence drops it. */
const workedOut = new WeakMap<ScopedRule[], Map<string, PrioritisedRule[]>>()

/**
 * Returns the rules that count in a mandate and instance, by their roles' own scope. Rules of other mandates
 * and instances are left out.
 */
export function countingRules(
  rules: ScopedRule[],
  mandateId: string,
  instanceId: string | null,
): PrioritisedRule[] {
  const places = workedOut.get(rules) ?? new Map<string, PrioritisedRule[]>()
  workedOut.set(rules, places)
  const place = `${mandateId} ${instanceId ?? ''}`
  const known = places.get(place)
  if (known) return known
  const counting = rules
    .flatMap((rule) => {
      const priority = priorityOf(rule, mandateId, instanceId)
      return priority === undefined ? [] : [{ priority, rule }]
    })
    .sort((a, b) => a.priority - b.priority)
  places.set(place, counting)
  return counting
}
