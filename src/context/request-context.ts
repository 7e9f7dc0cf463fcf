import type { ScopedRule, User } from '../coherence/directory.js'
import type { Entry } from './decide-placement.js'

/**
 * A rule that counts in a context. Priority 1 is that of a global role, 2 of a mandate's, 3 of an instance's.
 */
export interface PrioritisedRule {
  priority: 1 | 2 | 3
  rule: ScopedRule
}

/** The user, mandate and instance of a request, for handlers and upstreams. */
export interface RequestContext {
  user: User
  mandateId: string | null
  featureInstanceId: string | null
  roleIds: string[]
  isSysAdmin: boolean
  isPlatformAdmin: boolean
  /** The decision about mandate and instance. It is the same object as long as it is remembered. */
  entry: Entry
  /**
   * Returns the rules that count here, at once if they are remembered. All uses in one request get the same.
   */
  rules: () => PrioritisedRule[] | Promise<PrioritisedRule[]>
}
