import type { Endpoint } from '../http/endpoint/endpoint.js'
import { accessOverviewEndpoints } from './access-overview-endpoints.js'
import { catalogEndpoints } from './catalog-endpoints.js'
import { factorResetEndpoints } from './factor-resets-endpoints.js'
import { featureEndpoints } from './features-endpoints.js'
import { instanceEndpoints } from './instances-endpoints.js'
import { issuedEndpoints } from './issued-endpoints.js'
import { mandateEndpoints } from './mandates-endpoints.js'
import { accessEndpoints, memberEndpoints } from './members-endpoints.js'
import { policyEndpoints } from './policies-endpoints.js'
import { roleEndpoints } from './roles-endpoints.js'
import { ruleEndpoints } from './rules-endpoints.js'
import { subscriptionEndpoints } from './subscriptions-endpoints.js'
import { usageEndpoints } from './usage-endpoints.js'
import { userSessionEndpoints } from './user-sessions-endpoints.js'
import { userEndpoints } from './users-endpoints.js'

/** Everything by which users, mandates and what they may do are governed. */
export function directoryEndpoints(
  governing: Parameters<typeof userEndpoints>[0] &
    Parameters<typeof catalogEndpoints>[0] &
    Parameters<typeof factorResetEndpoints>[0],
): Endpoint[] {
  return [
    ...userEndpoints(governing),
    ...userSessionEndpoints(governing),
    ...factorResetEndpoints(governing),
    ...issuedEndpoints(governing),
    ...mandateEndpoints(governing),
    ...policyEndpoints(governing),
    ...memberEndpoints(governing),
    ...roleEndpoints(governing),
    ...ruleEndpoints(governing),
    ...featureEndpoints(governing),
    ...instanceEndpoints(governing),
    ...accessEndpoints(governing),
    ...accessOverviewEndpoints(governing),
    ...catalogEndpoints(governing),
    ...subscriptionEndpoints(governing),
    ...usageEndpoints(governing),
  ]
}
