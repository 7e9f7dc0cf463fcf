import type { Action } from '../domain/permissions.js'
import type { MandateSource } from '../http/endpoint/policy.js'
import { actionOfMethod } from '../authorization/guards.js'
import { GatewayError, type ErrorCode, statusOf } from '../errors.js'
import { checkQuery, normalisePath } from '../http/normalise-path.js'
import { refuseTrace } from './forward-by-table.js'
import { ruleNames, type RuleNames } from './header-rules.js'
import { isOwnPath, type RouteFile } from './route-schema.js'
import type { Route, RouteTable } from './route-table.js'
import { sentPath } from './sent-path.js'

/** The question: a method, and a path with or without a query, as a client would send them. */
interface Asked {
  method: string
  target: string
}

/** The target can be read in two ways. */
interface Refused extends Asked {
  outcome: 'refused'
  status: number
  code: ErrorCode
  detail: string
}

/** No route matches: the path is the gateway's own, or unknown. */
interface Unmatched extends Asked {
  outcome: 'own' | 'not_found'
  path: string
}

/** A route matches. The fields are what its request must pass, and where it is sent. */
export interface Matched
  extends Asked, Pick<Route, 'auth' | 'credentials' | 'decide' | 'mandate' | 'instance'> {
  outcome: 'matched'
  path: string
  route: string
  upstream: string
  targets: string[]
  /** The path and query for the upstream; null when the method can never be permitted. */
  sent: string | null
  guard: Route['guard'] | null
  /** Null when the method stands for no action. Every caller is then refused. */
  permission: (NonNullable<Route['permission']> & { action: Action | null }) | null
  mandateFrom: readonly MandateSource[]
  rateLimit: Route['rateLimit'] | null
  concurrency: Route['concurrency'] | null
  bodyLimit: number | null
  timeouts: RouteFile['upstreams'][string]['timeouts']
  /** Fields of few routes, left out in the others. */
  host?: string[]
  addresses?: string[]
  tell?: string[]
  preserveHost?: true
  exposeHeaders?: string[]
  requestHeaders?: RuleNames
  responseHeaders?: RuleNames
}

/** How the gateway would decide about a request, as far as its route file says. */
export type Explanation = Refused | Unmatched | Matched

/**
 * Returns what the gateway would do with a request of `method` for `target` at `host`, by the same steps in
 * the same order.
 */
export function explainRoute(table: RouteTable, method: string, target: string, host?: string): Explanation {
  const asked = { method, target }
  try {
    const query = target.indexOf('?')
    const search = query === -1 ? '' : target.slice(query)
    const path = normalisePath(query === -1 ? target : target.slice(0, query))
    checkQuery(search)
    const route = table.match(path, host)
    if (!route) return { ...asked, outcome: isOwnPath(path) || path === '/' ? 'own' : 'not_found', path }
    refuseTrace(method)
    const policy = policyOf(route, method)
    const sent = policy.permission?.action === null ? null : sentPath(route, path, search)
    return {
      ...asked,
      outcome: 'matched',
      path,
      sent,
      ...policy,
      ...destinationOf(route, table),
      ...extrasOf(route, table),
    }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return {
      ...asked,
      outcome: 'refused',
      status: statusOf(error.code),
      code: error.code,
      detail: error.detail,
    }
  }
}

function policyOf(
  {
    auth,
    credentials,
    decide,
    mandate,
    instance,
    mandateFrom,
    guard,
    permission,
    rateLimit,
    concurrency,
    bodyLimit,
  }: Route,
  method: string,
) {
  return {
    auth,
    credentials,
    decide,
    mandate,
    instance,
    guard: guard ?? null,
    permission: permission ? { ...permission, action: actionOfMethod[method] ?? null } : null,
    mandateFrom: mandateFrom ?? (['header'] as const),
    rateLimit: rateLimit ?? null,
    concurrency: concurrency ?? null,
    bodyLimit: bodyLimit ?? null,
  }
}

function destinationOf({ name, upstream, timeoutMs }: Route, { upstreams }: RouteTable) {
  const destination = upstreams[upstream]
  // a table with such a fault is not parsed
  if (!destination) throw new Error(`the upstream ${upstream} is not there`)
  const { targets, timeouts } = destination
  return {
    route: name,
    upstream,
    targets,
    timeouts: timeoutMs === undefined ? timeouts : { ...timeouts, headersMs: timeoutMs, bodyMs: timeoutMs },
  }
}

function extrasOf(
  { host, addresses, tell, preserveHost, exposeHeaders, requestHeaders, responseHeaders, upstream }: Route,
  { upstreams }: RouteTable,
) {
  const shared = upstreams[upstream]
  const requests = ruleNames(shared?.requestHeaders, requestHeaders)
  const responses = ruleNames(shared?.responseHeaders, responseHeaders)
  return {
    ...(host && { host }),
    ...(addresses && { addresses }),
    ...(tell && { tell }),
    ...(preserveHost && { preserveHost: true as const }),
    ...(exposeHeaders && { exposeHeaders }),
    ...(requests && { requestHeaders: requests }),
    ...(responses && { responseHeaders: responses }),
  }
}
