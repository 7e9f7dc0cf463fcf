import type { Middleware } from './chain.js'
import type { CrossSitePolicy } from './cross-site.js'

/** What an endpoint or a route asks of a request before it is served: plain data, which the rooms enforce. */
export interface Policy {
  /** `optional`: no token is anonymous, a bad one still is refused. */
  auth: 'required' | 'optional' | 'public' | 'portal'
  mandate: 'required' | 'optional' | 'none'
  instance: 'required' | 'optional' | 'none'
  guard?: 'sysAdmin' | 'platformAdmin'
  permission?: Subject
}

/** Makes the steps between match and handler that a policy asks for. */
export type Admit = (policy: Policy, crossSite: CrossSitePolicy) => Middleware[]

/** What a permission is asked for. */
export interface Subject {
  context: 'DATA' | 'UI' | 'RESOURCE'
  item: string
  /** What is done with it; by default what the method does. */
  action?: 'read' | 'create' | 'update' | 'delete'
}

const nowhere = { mandate: 'none', instance: 'none' } as const

/** Anybody, without a token. */
export const anyone: Policy = { auth: 'public', ...nowhere }
/** Anybody with a valid token. */
export const signedIn: Policy = { auth: 'required', ...nowhere }
/** Anybody with a valid token, in the place that the request names, if it names one. */
export const signedInSomewhere: Policy = { auth: 'required', mandate: 'optional', instance: 'optional' }
/** SysAdmins; audited. */
export const sysAdmins: Policy = { auth: 'required', ...nowhere, guard: 'sysAdmin' }
/** PlatformAdmins; audited. */
export const platformAdmins: Policy = { auth: 'required', ...nowhere, guard: 'platformAdmin' }
