import type { Demand, PolicyArea } from '../../domain/assurance-policy.js'
import type { Action, RuleContext } from '../../domain/permissions.js'
import type { Middleware } from './chain.js'
import type { CrossSitePolicy } from '../cross-site.js'
import type { Entry } from '../limits/limit-entry.js'

/**
 * What an endpoint or a route demands of a request before it is served. It is plain data; the rooms enforce
 * it.
 */
export interface Policy {
  /** `optional`: without a token the caller is anonymous; an invalid token is still refused. */
  auth: 'required' | 'optional' | 'public' | 'portal'
  mandate: 'required' | 'optional' | 'none'
  instance: 'required' | 'optional' | 'none'
  guard?: 'sysAdmin' | 'platformAdmin'
  permission?: Subject
  /** Where a request may name its mandate and instance. The default is the headers. */
  mandateFrom?: readonly MandateSource[]
  /** The path prefix of a route, from which `path` counts. */
  prefix?: string
  /**
   * `watch`: the request goes on whatever is decided, and the decision is noted. By default a decision is
   * enforced.
   */
  decide?: 'enforce' | 'watch'
  /** What a route asks of the caller's proof. */
  assurance?: Demand
  /** The operators' area that an endpoint belongs to. `endpoint` sets it, by the path. */
  area?: PolicyArea
  /** False where the policy of the mandate is shown, and does not judge. */
  judged?: false
}

/**
 * Where callers that cannot set headers (navigations, downloads, EventSource, WebSocket, images) may name
 * their mandate.
 */
export const mandateSources = ['header', 'query', 'path', 'host', 'subprotocol'] as const
export type MandateSource = (typeof mandateSources)[number]

/** The steps between a match and its handler. */
export interface Admission {
  steps: Middleware[]
  /**
   * Decides again, without counting or auditing, for a request that has waited. Undefined when no caller is
   * identified.
   */
  again?: Middleware
}

/** What an endpoint adds to the admission of its policy. */
export interface AdmissionOptions {
  /** The limit of a public endpoint. */
  entry?: Entry | undefined
  /** A step after the check for repeated headers and cookies. */
  parse?: Middleware | undefined
}

/** Creates the admission of a policy. */
export type Admit = (policy: Policy, crossSite: CrossSitePolicy, options?: AdmissionOptions) => Admission

/** The subject of a permission. */
export interface Subject {
  context: RuleContext
  item: string
  /** The action; by default that of the method. */
  action?: Action
}

const nowhere = { mandate: 'none', instance: 'none' } as const

/** Every caller, without a token. */
export const anyone: Policy = { auth: 'public', ...nowhere }
/** Every caller with a valid token. */
export const signedIn: Policy = { auth: 'required', ...nowhere }
/** Every caller with a valid token, in the mandate and instance that the request names, if any. */
export const signedInSomewhere: Policy = { auth: 'required', mandate: 'optional', instance: 'optional' }
/** Clients of the portal. */
export const portalClients: Policy = { auth: 'portal', ...nowhere }
/** SysAdmins; audited. */
export const sysAdmins: Policy = { auth: 'required', ...nowhere, guard: 'sysAdmin' }
/** PlatformAdmins; audited. */
export const platformAdmins: Policy = { auth: 'required', ...nowhere, guard: 'platformAdmin' }
/**
 * Callers whose rules in the requested mandate allow the action on `RESOURCE item`, such as
 * `gateway.members`.
 */
export const mandateAdmins = (item: string, action?: Subject['action']): Policy => ({
  auth: 'required',
  mandate: 'required',
  instance: 'none',
  permission: { context: 'RESOURCE', item, ...(action ? { action } : {}) },
})
