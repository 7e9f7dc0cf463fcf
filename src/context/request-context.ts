import type { ScopedRule, User } from '../coherence/directory.js'
import type { Entry, RequestedPlace } from './decide-placement.js'

/** A rule that counts in a context: 1 of a global role, 2 of a mandate's, 3 of an instance's. */
export interface PrioritisedRule {
  priority: 1 | 2 | 3
  rule: ScopedRule
}

/** Who, and where: what a handler or an upstream may rely on about one request. */
export interface RequestContext {
  user: User
  mandateId: string | null
  featureInstanceId: string | null
  roleIds: string[]
  isSysAdmin: boolean
  isPlatformAdmin: boolean
  /** What was decided of the place: the same object as long as that is remembered. */
  entry: Entry
  /**
   * The rules that count here, loaded on first use, at once where they are remembered; every use in one
   * request sees the same.
   */
  rules: () => PrioritisedRule[] | Promise<PrioritisedRule[]>
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** In which mandate and instance; absent where the endpoint asks for none. */
      context?: RequestContext
      /** The place that was asked for, let in or not. */
      requestedPlace?: RequestedPlace
      /**
       * The mandate that the request named, or its instance's own, where there is one: also where the caller
       * was not let in.
       */
      namedMandateId?: string | undefined
    }
  }
}
