import type { Action, RuleContext } from '../../domain/permissions.js'
import type { Middleware } from './chain.js'
import type { CrossSitePolicy } from '../cross-site.js'
import type { Entry } from '../limits/limit-entry.js'

/** What an endpoint or a route asks of a request before it is served: plain data, which the rooms enforce. */
export interface Policy {
  /** `optional`: no token is anonymous, a bad one still is refused. */
  auth: 'required' | 'optional' | 'public' | 'portal'
  mandate: 'required' | 'optional' | 'none'
  instance: 'required' | 'optional' | 'none'
  guard?: 'sysAdmin' | 'platformAdmin'
  permission?: Subject
  /** Where a request may name its mandate and instance; by default in the headers alone. */
  mandateFrom?: readonly MandateSource[]
  /** The path prefix of a route, which `path` counts from. */
  prefix?: string
  /**
   * The request goes on whatever is decided; what would have been answered is noted. By default a decision is
   * enforced.
   */
  decide?: 'enforce' | 'watch'
}

/**
 * Where callers that cannot set headers (navigations, downloads, EventSource, WebSocket, images) name their
 * mandate.
 */
export const mandateSources = ['header', 'query', 'path', 'host', 'subprotocol'] as const
export type MandateSource = (typeof mandateSources)[number]

/** What stands between a match and its handler. */
export interface Admission {
  steps: Middleware[]
  /**
   * Decides the same again, without counting or noting it: for a request that has waited. Absent where nobody
   * is asked.
   */
  again?: Middleware
}

/** What an endpoint may add to the admission that its policy asks for. */
export interface AdmissionOptions {
  /** The limit of an endpoint that anybody may ask. */
  entry?: Entry | undefined
  /** A step behind the check for repeated headers and cookies. */
  parse?: Middleware | undefined
}

/** Makes the admission that a policy asks for. */
export type Admit = (policy: Policy, crossSite: CrossSitePolicy, options?: AdmissionOptions) => Admission

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    interface Request {
      /** The era of this node's knowledge that the decision was made in. */
      decidedIn: symbol
      /** When it was made, milliseconds since 1970. */
      decidedAtMs: number
    }
  }
}

/** What a permission is asked for. */
export interface Subject {
  context: RuleContext
  item: string
  /** What is done with it; by default what the method does. */
  action?: Action
}

const nowhere = { mandate: 'none', instance: 'none' } as const

/** Anybody, without a token. */
export const anyone: Policy = { auth: 'public', ...nowhere }
/** Anybody with a valid token. */
export const signedIn: Policy = { auth: 'required', ...nowhere }
/** Anybody with a valid token, in the place that the request names, if it names one. */
export const signedInSomewhere: Policy = { auth: 'required', mandate: 'optional', instance: 'optional' }
/** Clients of the portal. */
export const portalClients: Policy = { auth: 'portal', ...nowhere }
/** SysAdmins; audited. */
export const sysAdmins: Policy = { auth: 'required', ...nowhere, guard: 'sysAdmin' }
/** PlatformAdmins; audited. */
export const platformAdmins: Policy = { auth: 'required', ...nowhere, guard: 'platformAdmin' }
/**
 * Those whose rules in the mandate that the request names let them do it with `RESOURCE item`, such as
 * `gateway.members`.
 */
export const mandateAdmins = (item: string, action?: Subject['action']): Policy => ({
  auth: 'required',
  mandate: 'required',
  instance: 'none',
  permission: { context: 'RESOURCE', item, ...(action ? { action } : {}) },
})
