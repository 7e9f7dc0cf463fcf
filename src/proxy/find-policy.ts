import { GatewayError, statusOf } from '../errors.js'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import { normalisePath } from '../http/normalise-path.js'
import type { Policy } from '../http/endpoint/policy.js'
import { policyOf, refuseTrace } from './forward-by-table.js'
import type { RouteTable } from './route-table.js'

const patternOf = (path: string) =>
  new RegExp(`^${path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`)

function find(
  { endpoints, table }: { endpoints: Endpoint[]; table: RouteTable },
  method: string,
  target: string,
  host: string | undefined,
): { route: string; policy: Policy } {
  const path = normalisePath(target.split('?', 1)[0] ?? '')
  const route = table.match(path, host)
  if (route) {
    refuseTrace(method)
    return { route: route.name, policy: policyOf(route) }
  }
  const exact = endpoints.filter((one) => one.path === path)
  const there = exact.length > 0 ? exact : endpoints.filter((one) => patternOf(one.path).test(path))
  if (there.length === 0) throw new GatewayError('not_found', 'There is nothing at this path')
  const served = there.find((one) => one.method.toUpperCase() === (method === 'HEAD' ? 'GET' : method))
  if (!served)
    throw new GatewayError(
      'method_not_allowed',
      `The methods of this path are ${there.map((one) => one.method.toUpperCase()).join(', ')}`,
    )
  return { route: served.path, policy: served.access }
}

/**
 * Returns the policy for a path, of the route table or of the gateway's own endpoints; or the refusal when
 * nothing matches.
 */
export function findPolicy(
  where: { endpoints: Endpoint[]; table: RouteTable },
  method: string,
  target: string,
  host?: string,
): { route: string; policy: Policy } | { refusal: { status: number; code: string; detail: string } } {
  try {
    return find(where, method, target, host)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { refusal: { status: statusOf(error.code), code: error.code, detail: error.detail } }
  }
}
