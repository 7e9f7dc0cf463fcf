import type { RequestListener } from 'node:http'
import type { Middleware } from '../http/endpoint/chain.js'
import type { Policy } from '../http/endpoint/policy.js'

/** A gateway, by itself or as a part of another program. */
export interface Gateway {
  /** Responds to every request. */
  listener: RequestListener
  /** Responds to the gateway's own paths and to routes. Passes on the rest, without any check. */
  middleware: Middleware
  /**
   * Admits requests by the policy, and refuses the others. For requests that have passed the middleware. Sets
   * `req.principal`, `req.context` and `req.accessLevel` for the handlers that follow.
   */
  guard: (policy: Policy) => Middleware
}
