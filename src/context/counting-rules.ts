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

/**
 * What has been worked out of an array of rules lives as long as the array does, and coherence drops that.
 */
const workedOut = new WeakMap<ScopedRule[], Map<string, PrioritisedRule[]>>()

/**
 * The rules that count in a place, by their roles' own scope; those of a role of another mandate or instance
 * do not.
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
