import type { ScopedRule } from '../coherence/directory.js'
import type { PrioritisedRule } from './request-context.js'

function priorityOf(rule: ScopedRule, mandateId: string, instanceId: string | null): PrioritisedRule['priority'] | undefined {
  if (rule.roleMandateId === null && rule.roleInstanceId === null) return 1
  if (rule.roleMandateId !== mandateId) return undefined
  if (rule.roleInstanceId === null) return 2
  return rule.roleInstanceId === instanceId ? 3 : undefined
}

/** The rules that count in a place, by their roles' own scope; those of a role of another mandate or instance do not. */
export function countingRules(rules: ScopedRule[], mandateId: string, instanceId: string | null): PrioritisedRule[] {
  const counting: PrioritisedRule[] = []
  for (const rule of rules) {
    const priority = priorityOf(rule, mandateId, instanceId)
    if (priority !== undefined) counting.push({ priority, rule })
  }
  return counting.sort((a, b) => a.priority - b.priority)
}
