import { GatewayError } from '../errors.js'
import { isLocalClient } from '../http/client-address.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { metricsType, type Scrape } from '../observability/metrics.js'

/** What is counted, for clients on this machine and for SysAdmins. None where it has a port of its own. */
export function metricsEndpoints({
  scrape,
  ownPort,
}: {
  scrape: Scrape
  ownPort: number | undefined
}): Endpoint[] {
  if (ownPort !== undefined) return []
  return [
    endpoint({
      method: 'get',
      path: '/metrics',
      summary:
        'What is counted, in the text format of Prometheus; for clients on the same machine, and SysAdmins',
      access: { ...anyone, auth: 'optional' },
      answers: { 200: metricsType },
      handle: async ({ req }) => {
        if (req.state.principal?.user.isSysAdmin !== true && !isLocalClient(req)) {
          throw new GatewayError('sysadmin_required', 'SysAdmin privileges required')
        }
        return { status: 200, text: { type: metricsType, content: await scrape() } }
      },
    }),
  ]
}
